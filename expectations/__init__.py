"""Suites of rules that staged rows must pass before they are published, and the pages that show what came of it.

A suite is found, not registered: `SUITE` of a module in a domain's folder. `suite_for` returns a table's suite,
`runner.audit` checks rows against it, `pages.build_index` writes the pages.
"""

from __future__ import annotations

import os
import pkgutil
import threading
from collections.abc import Iterator
from importlib import import_module

from expectations.rules import Suite
from expectations.vision import gold_images
from lakehouse.errors import BadInputError
from lakehouse.tables import Table
from lakehouse.tables.vision import GOLD_NAME


def _found() -> Iterator[Suite]:
    """Yield the SUITE, or the SUITES, of every module in the folders below this one."""
    for package in pkgutil.iter_modules(__path__, f"{__name__}."):
        if package.ispkg:
            for module in pkgutil.iter_modules(import_module(package.name).__path__, f"{package.name}."):
                declared = vars(import_module(module.name))
                yield from declared.get("SUITES", ())
                if "SUITE" in declared:
                    yield declared["SUITE"]


SUITES: tuple[Suite, ...] = tuple(_found())


def find_suite(identifier: str) -> Suite | None:
    """Return the suite of a table, also of a user's image set; None where it has none."""
    for suite in SUITES:
        if suite.table.identifier == identifier:
            return suite
    image_set = GOLD_NAME.fullmatch(identifier)
    return gold_images.suite_of(image_set[1]) if image_set else None


def suite_for(table: Table) -> Suite:
    """Return the suite of a data table.

    Raises:
        BadInputError: the table has none; a data table without a suite is never published.
    """
    suite = find_suite(table.identifier)
    if suite is not None:
        return suite
    raise BadInputError(
        f"{table.identifier} has no suite: write expectations/<domain>/{table.layer}_{table.name}.py with a SUITE"
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
