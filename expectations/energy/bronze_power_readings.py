"""What bronze.power_readings must be before it is published: complete against its manifest, each row in its own day."""

from __future__ import annotations

from expectations.common import MANIFEST_ROWS
from expectations.declared import declared_rules
from expectations.energy.common import CIVIL_DAY, DELIVERY_DAY
from expectations.rules import Suite
from lakehouse.tables.energy import BRONZE_POWER_READINGS

SUITE = Suite(
    BRONZE_POWER_READINGS,
    rules=(*declared_rules(BRONZE_POWER_READINGS), CIVIL_DAY, DELIVERY_DAY),
    fact_rules=(MANIFEST_ROWS,),
)
