"""When instruments trade on a UTC day, and what a day's key says of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from spark_jobs.finance import sessions
from spark_jobs.finance.sessions import describe_sessions, session_frame

ONE_DAY = timedelta(days=1)
LATER = datetime(2026, 1, 1, tzinfo=UTC)
"""When every day of these tests is over."""


def at(day: date, clock: str) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}+00:00")


def minute_of(day: date, clock: str) -> int:
    return int(at(day, clock).timestamp()) // 60


def session(instrument: str, day: date, opened: str, closed: str, began: str | None = None) -> tuple:
    first, end = minute_of(day, opened), minute_of(day, closed)
    return (day, instrument, minute_of(day, began) if began else first, first, end)


def test_session_frame_cuts_sessions_to_utc_days_and_counts_from_their_start():
    days = [date(2013, 10, 6), date(2013, 10, 7)]
    instruments = ["AIG.USA", "GC-201312.COMEX", "XRPETH.BINANCE"]
    found = [(day, *row) for day in days for row in session_frame(instruments, day, LATER).rows()]
    sunday, monday = days
    assert sorted(found) == sorted(
        [
            session("AIG.USA", monday, "13:30", "20:00"),
            # from Sunday evening in Chicago to Monday evening, and the next
            (
                sunday,
                "GC-201312.COMEX",
                minute_of(sunday, "22:00"),
                minute_of(sunday, "22:00"),
                minute_of(monday, "00:00"),
            ),
            (
                monday,
                "GC-201312.COMEX",
                minute_of(sunday, "22:00"),
                minute_of(monday, "00:00"),
                minute_of(monday, "22:00"),
            ),
            (
                monday,
                "GC-201312.COMEX",
                minute_of(monday, "22:00"),
                minute_of(monday, "22:00"),
                minute_of(monday + ONE_DAY, "00:00"),
            ),
            *(
                (day, "XRPETH.BINANCE", *[minute_of(day, "00:00")] * 2, minute_of(day + ONE_DAY, "00:00"))
                for day in days
            ),
        ]
    )


@pytest.mark.parametrize(
    ("now", "end"),
    [
        pytest.param("13:00", "13:30", id="before the session there is no minute of it"),
        pytest.param("15:17:59", "15:17", id="within it, the minute that runs is not over"),
        pytest.param("21:00", "20:00", id="after it, the session is whole"),
    ],
)
def test_session_frame_ends_with_what_is_over(now, end):
    monday = date(2013, 10, 7)
    frame = session_frame(["AIG.USA"], monday, at(monday, now))
    assert frame.select("first_minute", "end_minute").rows() == [(minute_of(monday, "13:30"), minute_of(monday, end))]


def test_a_changed_calendar_changes_the_keys_of_its_own_days_alone(monkeypatch):
    monday, tuesday = date(2013, 10, 7), date(2013, 10, 8)
    subjects = {monday: ["AIG.USA", "XRPETH.BINANCE"], tuesday: ["XRPETH.BINANCE"]}
    before = describe_sessions(None, subjects)
    assert describe_sessions(None, subjects) == before
    original = sessions.session_parts

    def closed_early(calendar, day, now):
        return original(calendar, day, now)[:-1] if calendar == "XNYS" else original(calendar, day, now)

    monkeypatch.setattr(sessions, "session_parts", closed_early)
    after = describe_sessions(None, subjects)
    assert (after[monday] != before[monday], after[tuesday] == before[tuesday]) == (True, True)
