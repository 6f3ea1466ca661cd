"""What silver.trades must be before it is published: typed trades in their own day, every line of every file kept."""

from __future__ import annotations

from expectations.common import MANIFEST_LINES, ROWS_PER_DAY, UNBALANCED_FILES, rejected_ratio
from expectations.declared import declared_rules, line_rules
from expectations.finance.common import EVENT_DAY
from expectations.rules import Suite
from lakehouse.tables.finance import SILVER_TRADES, SILVER_TRADES_REJECTED
from transforms.finance.trades import TRADE_RULES

SUITE = Suite(
    SILVER_TRADES,
    rules=(*declared_rules(SILVER_TRADES), *line_rules(SILVER_TRADES, TRADE_RULES), EVENT_DAY),
    fact_rules=(UNBALANCED_FILES, MANIFEST_LINES, ROWS_PER_DAY, rejected_ratio(SILVER_TRADES_REJECTED)),
)
