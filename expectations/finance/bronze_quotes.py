"""What bronze.quotes must be before it is published: complete against its manifest, each row in its event's day."""

from __future__ import annotations

from expectations.common import MANIFEST_ROWS
from expectations.declared import declared_rules
from expectations.finance.common import EVENT_DAY_OF_DELIVERY
from expectations.rules import Suite
from lakehouse.tables.finance import BRONZE_QUOTES

SUITE = Suite(
    BRONZE_QUOTES,
    rules=(*declared_rules(BRONZE_QUOTES), EVENT_DAY_OF_DELIVERY),
    fact_rules=(MANIFEST_ROWS,),
)
