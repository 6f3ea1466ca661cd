"""Suites of rules that staged rows must pass before they are published, and the pages that show what came of it.

`suite_for` finds a table's suite, `runner.audit` holds rows against it, `pages.build_index` writes the pages.
"""

from __future__ import annotations

import os
import threading

from expectations import energy, finance, vision
from expectations.rules import Suite
from lakehouse.errors import BadInputError
from lakehouse.tables import Table
from lakehouse.tables.vision import GOLD_NAME

SUITES: tuple[Suite, ...] = (*finance.SUITES, *energy.SUITES, *vision.SUITES)


def find_suite(identifier: str) -> Suite | None:
    """Return the suite of a table, also of a user's image set; None where it has none."""
    for suite in SUITES:
        if suite.table.identifier == identifier:
            return suite
    image_set = GOLD_NAME.fullmatch(identifier)
    return vision.gold_images.suite_of(image_set[1]) if image_set else None


def suite_for(table: Table) -> Suite:
    """Return the suite of a data table.

    Raises:
        BadInputError: the table has none; a data table without a suite is never published.
    """
    suite = find_suite(table.identifier)
    if suite is not None:
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
