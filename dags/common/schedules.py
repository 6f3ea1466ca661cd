"""When things are due, and for which days: the crons of a Dag, and those of the models inside of it.

A Dag runs when one of its crons fires. What has a cron of its own inside of the Dag is due in the first run at or after
each of its ticks, so that no tick is lost and none counts twice, whatever the time zones.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import MultipleCronTriggerTimetable, Param
from croniter import croniter

from lakehouse.config.settings import settings
from lakehouse.errors import BadInputError

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Schedule:
    """The crons of a Dag in its time zone; without crons it runs by hand."""

    crons: tuple[str, ...]
    timezone: str = "UTC"

    def timetable(self) -> MultipleCronTriggerTimetable | None:
        """Return Airflow's timetable: a run stands for the day before it, [run - 1 day, run)."""
        if not self.crons:
            return None
        return MultipleCronTriggerTimetable(*self.crons, timezone=self.timezone, interval=ONE_DAY)

    def previous(self, run: datetime) -> datetime:
        """Return when the Dag ran before this scheduled run."""
        local = run.astimezone(ZoneInfo(self.timezone))
        ticks = (croniter(cron, local).get_prev(datetime) for cron in self.crons)
        latest: datetime = max(tick.astimezone(UTC) for tick in ticks)
        return latest

    def is_due(self, cron: str, run: datetime, timezone: str = "UTC") -> bool:
        """Say whether a cron has a tick in (the Dag's run before, this run]."""
        local = run.astimezone(ZoneInfo(timezone))
        # One second later, so that a tick at the very moment of the run counts
        tick: datetime = croniter(cron, local + timedelta(seconds=1)).get_prev(datetime)
        return tick.astimezone(UTC) > self.previous(run)


def chosen_schedule(domain: str, choices: Collection[str]) -> str:
    """Return which of a Dag's schedules LAKEHOUSE_<DOMAIN>_SCHEDULE names, or the first where it is not set.

    Raises:
        BadInputError: the Dag has no such schedule; Airflow shows it as the Dag's import error.
    """
    choice = settings().schedules.get(domain, next(iter(choices)))
    if choice not in choices:
        raise BadInputError(
            f"LAKEHOUSE_{domain.upper()}_SCHEDULE: expected one of {', '.join(choices)}, found {choice!r}"
        )
    return choice


def run_moment(dag_run: Any) -> datetime:
    """Return the end of what a run stands for; a run by hand may have no interval."""
    moment: datetime = getattr(dag_run, "data_interval_end", None) or dag_run.run_after
    return moment.astimezone(UTC)


def first_day(dag_run: Any, params: Mapping[str, Any]) -> str:
    """Return the first day of a run: what its form says, else the day before it, UTC."""
    return str(params.get("first_day") or (run_moment(dag_run) - ONE_DAY).date())


def last_day_exclusive(dag_run: Any, params: Mapping[str, Any]) -> str:
    """Return the day after the last one: what the form says, else tomorrow, so that the day so far is in it."""
    return str(params.get("last_day_exclusive") or (run_moment(dag_run) + ONE_DAY).date())


MACROS = {"first_day": first_day, "last_day_exclusive": last_day_exclusive}
FROM_YESTERDAY: Sequence[str] = (
    *("--from", "{{ first_day(dag_run, params) }}"),
    *("--to", "{{ last_day_exclusive(dag_run, params) }}"),
)
"""Arguments: the last whole day and the day so far, UTC."""


def day_params() -> dict[str, Param]:
    """Return the fields of a run's form that name other days than the schedule does."""
    about = "first day; empty: as scheduled", "the day after the last one; empty: as scheduled"
    return {
        "first_day": Param(None, type=["null", "string"], format="date", description=about[0]),
        "last_day_exclusive": Param(None, type=["null", "string"], format="date", description=about[1]),
    }


def retrain_param(default: str = "when due") -> Param:
    """Return the field of a run's form that says which models are trained."""
    choices = ["when due", "yes", "no"]
    return Param(default, type="string", enum=choices, description="train the models of this Dag in this run")


def is_wanted(schedule: Schedule, cron: str | None, dag_run: Any, choice: str) -> tuple[bool, str]:
    """Say whether something with a cron of its own is wanted in a run, and why."""
    if cron is None:
        return False, "it has no schedule of its own: train_model trains it"
    if choice in ("yes", "no"):
        return choice == "yes", f"the run's form says {choice}"
    if not schedule.crons or dag_run.run_type == "manual":
        return False, f"a run by hand; its schedule is {cron!r} UTC: ask for it in the run's form"
    is_due = schedule.is_due(cron, run_moment(dag_run))
    return is_due, f"its schedule {cron!r} UTC " + ("has come" if is_due else "has not come since the run before")
