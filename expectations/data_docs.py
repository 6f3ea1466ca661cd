"""Data Docs: the page of one audit, with Great Expectations' own rendering of every expectation.

Its page template loads scripts and styles from six foreign hosts and does not escape values in tables. The blocks are
its own; page, styles and escaping are ours, so that a page works offline and a raw line of a file stays text.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from expectations import import_great_expectations
from expectations.page_model import Audit

TEMPLATES = Path(__file__).parent / "templates"


def render_audit(audit: Audit, validation: dict[str, Any]) -> str:
    """Render the page of one audit from its document's validation result."""
    import_great_expectations()
    from great_expectations.core import expectationSuiteValidationResultSchema
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    result = expectationSuiteValidationResultSchema.load(validation)
    blocks = ValidationResultsPageRenderer().render(result).to_json_dict()
    view = DefaultJinjaPageView(custom_views_directory=str(TEMPLATES))
    page: str = view.env.get_template("audit.html").render(
        audit=audit,
        # The first section repeats the banner and unfolds with a script.
        sections=escape_cells(blocks["sections"][1:]),
        gx_version=validation["meta"]["great_expectations_version"],
    )
    return page


def escape_cells(block: Any) -> Any:
    """Escape the plain texts in tables, which the library writes as they are; all other blocks it escapes itself."""
    if isinstance(block, list):
        return [escape_cells(part) for part in block]
    if not isinstance(block, dict):
        return block
    escaped = {key: escape_cells(part) for key, part in block.items()}
    if isinstance(block.get("table"), list):
        escaped["table"] = [[escape_cell(cell) for cell in row] for row in escaped["table"]]
    return escaped


def escape_cell(cell: Any) -> Any:
    """Escape one cell; a list of texts is a cell of several lines."""
    if isinstance(cell, str):
        return html.escape(cell)
    if isinstance(cell, list):
        return [escape_cell(part) for part in cell]
    return cell
