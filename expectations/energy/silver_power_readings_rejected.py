"""What silver.power_readings_rejected must be before it is published: lines as the file said them, with a reason."""

from __future__ import annotations

from expectations.common import REASON_GIVEN
from expectations.declared import declared_rules
from expectations.energy.common import CIVIL_DAY
from expectations.rules import Suite
from lakehouse.tables.energy import SILVER_POWER_READINGS_REJECTED

SUITE = Suite(
    SILVER_POWER_READINGS_REJECTED,
    rules=(*declared_rules(SILVER_POWER_READINGS_REJECTED), CIVIL_DAY, REASON_GIVEN),
)
