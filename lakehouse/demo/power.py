"""Generated readings of a household's meter in the layout of the UCI file, so that the demo has load to forecast.

Writes  <landing>/power/generated_household.zip   one member, household_power_consumption.txt
        <landing>/dialects/generated_household.yaml   the dialect by which it is read

Power is a base, a fridge, mornings and evenings that differ between weekdays and weekends, and appliances that are
switched on at random: plausible, seeded, and nobody's. The meter is household.GENERATED. Dirt is there on purpose:
short and long gaps, a line sent twice, a corrected one, one that is cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from lakehouse.demo.feeds import LandingFile
from lakehouse.demo.landing_files import write_zip

DAYS = 60
"""Four weeks until every feature is there, and as many to train and test on."""
HEADER = (
    "Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;"
    "Sub_metering_1;Sub_metering_2;Sub_metering_3"
)
MINUTES = 1440
DIALECT = f"""\
# The UCI layout, for a meter whose readings are GENERATED (lakehouse/demo/power.py).
name: generated_household
paths: ["**/generated_household.zip"]
meter_id: household.GENERATED
country: FR
interval_min: 1
header: {HEADER}
separator: ";"
missing: ["?", ""]
time:
  fields: [Date, Time]
  forms:
    - form: d/m/yyyy HH:MM:SS
measures:
  active_power: {{field: Global_active_power, unit: kW}}
  reactive_power: {{field: Global_reactive_power, unit: kvar}}
  voltage: {{field: Voltage, unit: V}}
  current: {{field: Global_intensity, unit: A}}
  sub_metering_1: {{field: Sub_metering_1, unit: Wh}}
  sub_metering_2: {{field: Sub_metering_2, unit: Wh}}
  sub_metering_3: {{field: Sub_metering_3, unit: Wh}}
"""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PowerPlan:
    """What was generated: civil days `[first, last_exclusive)` and lines."""

    first: date
    last_exclusive: date
    rows: int


def write_demo_power(landing: Path, *, first: date = date(2025, 11, 9), days: int = DAYS, seed: int = 7) -> PowerPlan:
    """Write the readings and their dialect below a landing folder of generated files."""
    lines = [HEADER, *readings(first, days, seed)]
    file = LandingFile(
        PurePosixPath("power/generated_household.zip"), "household_power_consumption.txt", first, lines, line_end="\r\n"
    )
    write_zip(landing / file.path, file)
    dialect = landing / "dialects" / "generated_household.yaml"
    dialect.parent.mkdir(parents=True, exist_ok=True)
    dialect.write_text(DIALECT, encoding="ascii")
    return PowerPlan(first, first + timedelta(days=days), len(lines) - 1)


def readings(first: date, days: int, seed: int) -> list[str]:
    """Return the lines, one per minute, with the dirt."""
    rng = np.random.Generator(np.random.PCG64([seed, 4]))
    watts, kitchen, laundry, heating = household_watts(rng, first, days)
    volts = 240.0 + rng.normal(0, 1.5, watts.size) - watts / 2500
    reactive = np.clip(0.06 * watts / 1000 + rng.normal(0.08, 0.04, watts.size), 0, None)
    begin = datetime(first.year, first.month, first.day)
    lines = []
    for minute in range(watts.size):
        time = begin + timedelta(minutes=minute)
        power = f"{watts[minute] / 1000:.3f};{reactive[minute]:.3f}"
        supply = f"{volts[minute]:.3f};{watts[minute] / volts[minute]:.3f}"
        parts = ";".join(f"{circuit[minute] / 60:.3f}" for circuit in (kitchen, laundry, heating))
        lines.append(f"{time.day}/{time.month}/{time.year};{time:%H:%M:%S};{power};{supply};{parts}")
    return add_dirt(lines)


def household_watts(rng: np.random.Generator, first: date, days: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Return watts per minute: of the whole house, and of the circuits kitchen, laundry and heating."""
    count = days * MINUTES
    minute = np.arange(count) % MINUTES
    weekday = (np.arange(count) // MINUTES + first.weekday()) % 7
    is_weekend = weekday >= 5
    hour = minute / 60
    base = 180 + 60 * ((minute + rng.integers(0, 45)) % 45 < 15)
    morning = 700 * np.exp(-(((hour - np.where(is_weekend, 9.5, 7.2)) / 1.1) ** 2))
    evening = 1100 * np.exp(-(((hour - 20) / 2.0) ** 2))
    mood = np.repeat(rng.lognormal(0, 0.25, days), MINUTES)
    kitchen = appliance(rng, count, (hour > 18) & (hour < 21), per_day=1.2, watts=1500, minutes=35)
    laundry = appliance(rng, count, is_weekend & (hour > 9) & (hour < 17), per_day=1.5, watts=1800, minutes=60)
    heating = appliance(rng, count, (hour < 7) | (hour > 17), per_day=5, watts=1900, minutes=40)
    noise = rng.normal(0, 25, count)
    house = np.clip(base + mood * (morning + evening) + noise, 80, None) + kitchen + laundry + heating
    return house, kitchen, laundry, heating


def appliance(
    rng: np.random.Generator, count: int, may_start: NDArray[np.bool_], *, per_day: float, watts: int, minutes: int
) -> Floats:
    """Return the watts of something that is switched on at random within its hours, `per_day` times on average."""
    possible = np.flatnonzero(may_start)
    starts = possible[rng.random(possible.size) < per_day * (count / MINUTES) / possible.size]
    power = np.zeros(count)
    for start in starts.tolist():
        power[start : start + int(rng.integers(minutes // 2, 2 * minutes))] = watts
    return power


def add_dirt(lines: list[str]) -> list[str]:
    """Return the lines with what goes wrong in real files."""
    dirty, tenth = list(lines), len(lines) // 10
    for begin, length in ((tenth, 3), (2 * tenth, 1), (3 * tenth, 90)):
        for place in range(begin, begin + length):
            dirty[place] = ";".join(lines[place].split(";")[:2]) + ";?;?;?;?;?;?;"
    dirty[5 * tenth] = lines[5 * tenth][:18]  # cut: too few fields
    day, time, power, *rest = lines[6 * tenth].split(";")
    dirty.insert(6 * tenth, ";".join((day, time, f"{float(power) + 1:.3f}", *rest)))  # corrected by the next line
    dirty.insert(7 * tenth, dirty[7 * tenth])  # sent twice, equal
    return dirty
