"""What a new file means beside the manifest: new, settled, replacing, refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from lakehouse.errors import BadInputError
from spark_jobs.engine import manifest
from spark_jobs.engine.manifest import Entry, is_settled, merge, touched_slices

DAY = date(2024, 8, 8)
A, B, C = "a" * 64, "b" * 64, "c" * 64


def entry(sha256, verdict="accepted", reason=None, day=DAY, **values):
    """One row of the manifest; the file is named after the first digit of its hash."""
    fields = {
        "delivery_date": day,
        "dataset": "trades",
        "source": "binance_trades",
        "subject": "BTCUSDT.BINANCE",
        "delivery_part": "",
        "source_file": f"{sha256[0]}.zip",
        "source_sha256": sha256,
        "bytes": 100,
        "rows": 0 if verdict == "quarantined" else 3,
        "first_ts_event": None,
        "last_ts_event": None,
        "first_interval_start": None,
        "last_interval_start": None,
        "event_dates": () if verdict == "quarantined" else (day,),
        "verdict": verdict,
        "reason": reason,
        "ingested_at": datetime(2024, 8, 9, tzinfo=UTC),
    }
    return Entry(**(fields | values))


def deliver(entries, *files, is_replacing=False):
    """Plan and merge like a run would: `files` are all that lie in the landing; returns what the manifest then is."""
    landed = {file.source_sha256 for file in files}
    new = [f for f in files if not is_settled(entries, f.source_sha256, f.delivery_date, landed, is_replacing)]
    if not new:
        return entries
    touched = {file.delivery_date for file in new}
    kept = [e for e in entries if e.delivery_date not in touched]
    return kept + merge(entries, new, is_replacing)


def verdicts(entries):
    return {(e.source_sha256, e.verdict, e.reason) for e in entries}


@pytest.mark.parametrize("is_replacing", [False, True])
@pytest.mark.parametrize("verdict", ["accepted", "quarantined"])
def test_is_settled_same_bytes_under_another_name_are_judged_once(verdict, is_replacing):
    assert is_settled([entry(A, verdict)], A, DAY, {A}, is_replacing)


def test_is_settled_same_bytes_on_another_day_are_another_delivery():
    assert not is_settled([entry(A)], A, date(2024, 8, 9), {A}, False)


def test_is_settled_same_bytes_for_another_instrument_are_another_delivery():
    delivered = entry(A)
    assert is_settled([delivered], A, DAY, {A}, False, subject=delivered.subject)
    assert not is_settled([delivered], A, DAY, {A}, False, subject="OTHER.BINANCE")


def test_is_settled_file_whose_content_names_the_days_is_known_by_its_bytes():
    assert is_settled([entry(A, day=date(2024, 8, 1))], A, None, {A}, False)
    assert not is_settled([entry(A)], B, None, {A, B}, False)


def test_is_settled_replaced_file_comes_back_only_on_demand_and_when_its_successor_has_left():
    entries = [entry(A, "superseded", "replaced by b.zip"), entry(B)]
    assert is_settled(entries, A, DAY, {A, B}, False)
    assert is_settled(entries, A, DAY, {A}, False)  # nobody asked to replace B
    assert is_settled(entries, A, DAY, {A, B}, True)  # both lie there: B took A's place
    assert not is_settled(entries, A, DAY, {A}, True)


def test_merge_refuses_other_bytes_and_names_both_hashes():
    with pytest.raises(BadInputError) as caught:
        merge([entry(A)], [entry(B)], is_replacing=False)
    assert str(caught.value) == (
        f"b.zip: binance_trades BTCUSDT.BINANCE of 2024-08-08 was delivered before with other bytes: accepted sha256 "
        f"{A} (a.zip), found sha256 {B}; run with --replace if the new file is to take its place"
    )


@pytest.mark.parametrize("is_replacing", [False, True])
def test_merge_refuses_twins_in_one_landing_even_to_replace(is_replacing):
    with pytest.raises(BadInputError) as caught:
        merge([], [entry(A), entry(B)], is_replacing)
    assert str(caught.value) == (
        "binance_trades BTCUSDT.BINANCE of 2024-08-08 lies in the landing folder twice with different bytes: a.zip "
        f"(sha256 {A}) and b.zip (sha256 {B}); remove one of them"
    )


def test_merge_supersedes_the_old_delivery_and_keeps_the_day_s_other_rows():
    other = entry(C, subject="ETHUSDT.BINANCE")
    broken = entry("d" * 64, "quarantined", "not a zip")
    elsewhere = entry("e" * 64, day=date(2024, 8, 9))
    merged = merge([entry(A), other, broken, elsewhere], [entry(B)], is_replacing=True)
    assert sorted(merged, key=lambda e: e.source_sha256) == [
        replace(entry(A), verdict="superseded", reason=f"replaced by b.zip, sha256 {B}"),
        entry(B),
        other,
        broken,
    ]


def test_merge_of_part_files_keeps_both():
    first, second = entry(A, delivery_part="00"), entry(B, delivery_part="01")
    assert merge([first], [second], is_replacing=False) == [first, second]


def test_merge_of_the_same_delivery_from_another_source_keeps_both():
    first, second = entry(A), entry(B, source="freqtrade_trades")
    assert merge([first], [second], is_replacing=False) == [first, second]


def test_replacing_and_restoring_ends_with_the_first_delivery():
    entries = deliver([], entry(A))
    entries = deliver(entries, entry(B), is_replacing=True)
    assert verdicts(entries) == {(A, "superseded", f"replaced by b.zip, sha256 {B}"), (B, "accepted", None)}
    entries = deliver(entries, entry(A), is_replacing=True)
    assert verdicts(entries) == {(A, "accepted", None), (B, "superseded", f"replaced by a.zip, sha256 {A}")}


def test_replacing_with_both_files_in_the_landing_ends_with_the_new_one_and_stays_there():
    entries = deliver([], entry(A))
    for _ in range(2):
        entries = deliver(entries, entry(A), entry(B), is_replacing=True)
        assert verdicts(entries) == {(A, "superseded", f"replaced by b.zip, sha256 {B}"), (B, "accepted", None)}


def test_replacing_by_a_third_file_supersedes_only_the_accepted_one():
    entries = [entry(A, "superseded", "replaced by b.zip"), entry(B)]
    assert verdicts(deliver(entries, entry(C), is_replacing=True)) == {
        (A, "superseded", "replaced by b.zip"),
        (B, "superseded", f"replaced by c.zip, sha256 {C}"),
        (C, "accepted", None),
    }


def test_unreadable_replacement_leaves_the_accepted_delivery_in_place():
    broken = entry(B, "quarantined", "the zip is cut off")
    assert verdicts(deliver([entry(A)], broken, is_replacing=True)) == {
        (A, "accepted", None),
        (B, "quarantined", "the zip is cut off"),
    }


def test_touched_slices_are_those_of_every_delivery_of_the_days_replaced_ones_too(monkeypatch):
    later = DAY.replace(day=9)
    entries = [
        entry(A, event_dates=(DAY, later)),  # a New York session reaches into the next UTC day
        entry(B, verdict="replaced", event_dates=(DAY.replace(day=7),)),
        entry(C, dataset="quotes", event_dates=(DAY.replace(day=1),)),
        entry(C, day=later, event_dates=(DAY.replace(day=2),)),  # delivered on a day that nobody asked for
    ]
    monkeypatch.setattr(manifest, "read_manifest", lambda settings: entries)
    assert touched_slices(None, [DAY], ["trades"]) == (DAY.replace(day=7), DAY, later)
    assert touched_slices(None, [date(2024, 1, 1)], ["trades"]) == ()
