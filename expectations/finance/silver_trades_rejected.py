"""What silver.trades_rejected must be before it is published: rejected lines as the file said them, with a reason."""

from __future__ import annotations

from expectations.common import REASON_GIVEN
from expectations.declared import declared_rules
from expectations.finance.common import EVENT_DAY_OF_DELIVERY
from expectations.rules import Suite
from lakehouse.tables.finance import SILVER_TRADES_REJECTED

SUITE = Suite(
    SILVER_TRADES_REJECTED,
    rules=(*declared_rules(SILVER_TRADES_REJECTED), EVENT_DAY_OF_DELIVERY, REASON_GIVEN),
)
