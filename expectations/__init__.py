"""Suites of rules that staged rows must pass before they are published, and the pages that show what came of it.

`suite_for` finds a table's suite, `runner.audit` holds a Spark frame against it, `pages.build_index` writes the pages.
"""

from __future__ import annotations

import os
import threading

from expectations import energy, finance
from expectations.rules import Suite
from lakehouse.errors import BadInputError
from lakehouse.tables import Table

SUITES: tuple[Suite, ...] = (*finance.SUITES, *energy.SUITES)


def suite_for(table: Table) -> Suite:
    """Return the suite of a data table.

    Raises:
        BadInputError: the table has none; a data table without a suite is never published.
    """
    for suite in SUITES:
        if suite.table.identifier == table.identifier:
            return suite
    raise BadInputError(
        f"{table.identifier} has no suite: write expectations/<domain>/{table.layer}_{table.name}.py "
        "and list it in the domain's SUITES"
    )


def warm_up() -> threading.Thread:
    """Import Great Expectations in a background thread: its 6 s pass while Spark works.

    An import that fails there fails again, and is seen, in the first audit.
    """
    thread = threading.Thread(target=import_great_expectations, name="import great_expectations", daemon=True)
    thread.start()
    return thread


def import_great_expectations() -> None:
    """Import the library without its usage reports; they would leave the machine."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations  # noqa: F401
