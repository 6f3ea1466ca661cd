"""What every bronze job shares: new files of the landing folder go into the table, whole, and into the manifest.

Bronze is replaced by delivery, not by day: a run adds the new deliveries of its days and removes those that they
replace. The table is published before the manifest, so a run that dies in between finds its files still new, sees its
key on the table and only writes the manifest.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial

import polars as pl

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError, ExitCode
from lakehouse.lake.counts import count_by
from lakehouse.lake.schema import arrow_table
from lakehouse.slices import UNDATED, Slice, days_of, in_order
from lakehouse.tables import Table
from lakehouse.tables.manifest import BRONZE_FILES
from spark_jobs.engine import manifest
from spark_jobs.engine.job import Plan, Request, Summary, TableJob
from spark_jobs.engine.kept import stage_rows
from spark_jobs.engine.manifest import Entry
from spark_jobs.engine.publish import Attempt, Published, Write
from spark_jobs.engine.stage import Branch, delete_rows, stage_files
from spark_jobs.layers import convert
from spark_jobs.layers.convert import Converted, NewFile
from spark_jobs.sources import base, reading
from spark_jobs.sources.base import UnreadableFileError
from spark_jobs.sources.discovery import claim_file
from spark_jobs.sources.landing import LandedFile, list_landing, read_bytes

logger = logging.getLogger(__name__)

Claims = Callable[[str], base.Claim | None]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Delivered:
    """What a bronze plan knows: the manifest as it is, and the files that are not in it."""

    entries: tuple[Entry, ...]
    files: tuple[NewFile, ...]
    dataset: str


def bronze_job(name: str, table: Table, claims: Callable[[Request], Claims] = lambda request: claim_file) -> TableJob:
    """Make the job that loads one kind of file into one bronze table; the table's name is the data set's.

    `claims` returns, for a request, the function that identifies the files of the landing folder.
    """

    def plan(request: Request) -> Plan:
        return plan_files(request, table.name, claims(request))

    def build(request: Request, planned: Plan, attempt: Attempt) -> Sequence[Write]:
        return build_writes(request, planned.state, attempt, table)

    return TableJob(
        name=name,
        table=table,
        tables=(table, BRONZE_FILES),
        reads=(),
        made_by=(reading,),
        plan=plan,
        build=build,
        summarize=summarize,
    )


def plan_files(request: Request, dataset: str, claim_of: Claims) -> Plan:
    """Find the files of the landing folder that the manifest has not judged yet."""
    entries = tuple(manifest.read_manifest(request.settings))
    claimed = claim_landing(request, dataset, claim_of)
    hashes = dict(zip(claimed, hash_files([file for file, _ in claimed.values()], request.settings), strict=True))
    landed = set(hashes.values())
    files: dict[tuple[str, date | None, str], NewFile] = {}
    for path, (file, claim) in claimed.items():
        sha256, day, subject = hashes[path], claim.delivery_date, claim.subject
        if not manifest.is_settled(
            *(entries, sha256, day, landed, request.is_replacing), subject=subject, read_as=claim.read_as
        ):
            files.setdefault((sha256, day, subject), NewFile(file, claim, sha256))
    inputs: dict[Slice, list[str]] = {}
    for new in files.values():
        for each in delivery_slices(new, request.settings):
            inputs.setdefault(each, []).append(f"new {new.sha256} {new.claim.read_as or ''}")
    for entry in manifest.accepted(entries, dataset):
        if entry.delivery_slice in inputs:  # unlike new ones: B in place of A is not the same as A in place of B
            inputs[entry.delivery_slice].append(f"present {entry.fingerprint}")
    lines = [f"read {new.landed.path} ({new.landed.bytes} bytes, sha256 {new.sha256})" for new in files.values()]
    return Plan(
        {each: sorted(set(texts)) for each, texts in inputs.items()},
        tuple(lines),
        Delivered(entries, tuple(files.values()), dataset),
    )


def claim_landing(request: Request, dataset: str, claim_of: Claims) -> dict[str, tuple[LandedFile, base.Claim]]:
    """Return the landing folder's files of one data set whose day is asked for, by path.

    A file whose day stands in its content is always asked for: only reading it would tell.
    """
    claimed = {}
    for file in list_landing(request.landing, request.settings):
        claim = claim_of(file.path)
        if claim is None or claim.dataset != dataset:
            continue
        if request.slices is None or claim.delivery_date is None or claim.delivery_date in request.slices:
            claimed[file.path] = (file, claim)
    return claimed


def hash_files(files: Sequence[LandedFile], settings: Settings) -> list[str]:
    """Hash the files' bytes, a few at a time; hashing and reading leave the interpreter's lock."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(lambda file: hashlib.sha256(read_bytes(file.url, settings)).hexdigest(), files))


def delivery_slices(new: NewFile, settings: Settings) -> set[Slice]:
    """Return the delivery days of a file, which is read if its path names none; UNDATED if its content has none."""
    if new.claim.delivery_date is not None:
        return {new.claim.delivery_date}
    try:
        rows = reading.read_rows(read_bytes(new.landed.url, settings), new.claim, new.sha256, EPOCH)
        return {day for batch in rows for day in batch.column("delivery_date").unique().to_pylist()}
    except UnreadableFileError:
        return {UNDATED}


def build_writes(request: Request, delivered: Delivered, attempt: Attempt, table: Table) -> Sequence[Write]:
    """Convert the new files and describe what is to be staged.

    Raises:
        BadInputError: a delivery came with other bytes, or a file is unreadable and the run is strict.
    """
    target = attempt.branch(table).target
    converted = convert.convert(request.spark, target, delivered.files)
    unreadable = [result for result in converted if result.unreadable is not None]
    for result in unreadable:
        logger.warning("quarantined %s: %s", result.file.landed.path, result.unreadable)
    try:
        reasons = [f"{result.file.landed.path}: {result.unreadable}" for result in unreadable]
        refuse_if_strict(request, reasons, len(converted), "files")
    except BadInputError:
        convert.discard_converted(converted, request.settings)
        raise
    new = [entry for result in converted for entry in entries_of(result, delivered.dataset, attempt.started_at)]
    try:
        rows = manifest.merge(delivered.entries, new, request.is_replacing)
    except BadInputError:
        convert.discard_converted(converted, request.settings)
        raise
    readable = [result for result in converted if result.unreadable is None]
    slices = in_order(entry.delivery_slice for entry in new)
    writes = [Write(BRONZE_FILES, slices, lambda branch: stage_manifest(branch, rows, slices))]
    if readable:
        table_days = days_of(entry.delivery_slice for entry in new if entry.verdict == "accepted")
        writes.insert(
            0,
            Write(
                table,
                table_days,
                lambda branch: stage_deliveries(
                    request.settings, branch, manifest.accepted(rows, delivered.dataset), readable, table_days
                ),
                lambda branch, slices, held: {
                    "manifest_row_difference": row_difference(
                        request.settings, branch, manifest.accepted(rows, delivered.dataset), table_days
                    )
                },
            ),
        )
    return writes


def refuse_if_strict(request: Request, reasons: Sequence[str], count: int, what: str) -> None:
    """Refuse a strict run of which something can't be read.

    Raises:
        BadInputError: that is so; the first reason is given.
    """
    if reasons and request.is_strict:
        raise BadInputError(
            f"{reasons[0]}; {len(reasons)} of {count} {what} can't be read and --strict publishes nothing then"
        )


def entries_of(result: Converted, dataset: str, ingested_at: datetime) -> Iterable[Entry]:
    """Yield the manifest's rows of one file."""
    file, claim = result.file, result.file.claim
    entry = partial(
        Entry,
        dataset=dataset,
        source=claim.source,
        delivery_part=claim.delivery_part,
        source_file=file.landed.path,
        source_sha256=file.sha256,
        bytes=file.landed.bytes,
        read_as=claim.read_as,
        ingested_at=ingested_at,
    )
    if result.unreadable is not None:
        yield entry(
            delivery_date=claim.delivery_date,
            subject=claim.subject,
            rows=0,
            first_ts_event=None,
            last_ts_event=None,
            first_interval_start=None,
            last_interval_start=None,
            event_dates=(),
            verdict="quarantined",
            reason=result.unreadable,
        )
    for delivery in result.deliveries:
        yield entry(**vars(delivery), verdict="accepted", reason=None)


def stage_manifest(branch: Branch, rows: Sequence[Entry], slices: Sequence[Slice]) -> Sequence[Slice]:
    """Replace the manifest's rows of some delivery days."""
    names = BRONZE_FILES.column_names
    written = arrow_table(BRONZE_FILES, [dict(zip(names, entry.as_row(), strict=True)) for entry in rows])
    return stage_rows(branch, pl.DataFrame(written), slices)


def stage_deliveries(
    settings: Settings, branch: Branch, expected: Sequence[Entry], readable: Sequence[Converted], days: Sequence[date]
) -> Sequence[Slice]:
    """Add the files of the new deliveries to what the manifest to come expects of the old ones, and to nothing else.

    Taken out are deliveries that are replaced, and those of a run that died before it wrote the manifest.
    """
    keys = ("delivery_date", branch.table.subject, "_source_sha256")
    kept = {(entry.delivery_date, entry.subject, entry.source_sha256) for entry in expected}
    kept -= {
        (delivery.delivery_date, delivery.subject, result.file.sha256)
        for result in readable
        for delivery in result.deliveries
    }
    present = set(count_by(settings, branch.table, keys, [pl.col("delivery_date").is_in(days)], branch.name))
    delete_rows(branch, keys, sorted(present - kept))
    return stage_files(branch, [file for result in readable for file in result.data_files], days, replaces=False)


def row_difference(settings: Settings, branch: Branch, expected: Sequence[Entry], days: Sequence[date]) -> int:
    """Count the lines that are on the branch and not in the manifest to come, or the other way round, file by file."""
    rows: dict[str, int] = {}
    for entry in expected:
        if entry.delivery_date in days:
            rows[entry.source_sha256] = rows.get(entry.source_sha256, 0) + entry.rows
    of_days = pl.col("delivery_date").is_in(days)
    counted = count_by(settings, branch.table, ("_source_sha256",), [of_days], branch.name)
    found = {sha256: lines for (sha256,), lines in counted.items()}
    return sum(abs(rows.get(sha256, 0) - found.get(sha256, 0)) for sha256 in {*rows, *found})


def summarize(request: Request, plan: Plan, published: Sequence[Published]) -> Summary:
    """Count lines and files; quarantined files make a success a notice."""
    read = {(new.sha256, new.claim.read_as) for new in plan.state.files}
    quarantined = sum(
        entry.verdict == "quarantined" and (entry.source_sha256, entry.read_as) in read
        for entry in manifest.read_manifest(request.settings)
    )
    return summarize_files(published, len(plan.state.files), quarantined, "files")


def summarize_files(published: Sequence[Published], read: int, quarantined: int, what: str) -> Summary:
    """Return rows and files in numbers; quarantined ones make a success a notice."""
    rows = sum(item.rows_added for item in published if item.table != BRONZE_FILES)
    note = f"{read} {what} read"
    if not quarantined:
        return Summary(rows_in=rows, rows_out=rows, note=note)
    note += f", {quarantined} of them quarantined (reasons in bronze.files)"
    return Summary(rows_in=rows, rows_out=rows, exit_code=ExitCode.QUARANTINED, note=note)
