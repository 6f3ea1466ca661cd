"""Champions: made by a paired test on the same rows or by a person, written down with reason and evidence, taken back.

Writes  registry.promotions   the decision, then again when the alias has moved
        alias champion in MLflow

A decision without its alias, as a broken connection leaves it, is carried out by the next command that looks.
"""

from __future__ import annotations

import getpass
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.errors import BadInputError
from lakehouse.lake.catalog import append_log, read_log
from lakehouse.lake.migration import require_tables
from lakehouse.tables.registry import PROMOTIONS
from ml.compare import Comparison, is_better
from ml.gold import read_gold
from ml.model import Validated, find_model, key_columns
from ml.registry import CHAMPION, MODEL_FILES, download_model, find_alias, find_version
from ml.tracking import Context, TrainingRun, mlflow_errors, read_predictions, read_run


def promote_if_better(context: Context, run: TrainingRun, version: int) -> str:
    """Promote a version that beats the champion on the same rows, or the naive forecasts where there is no champion.

    Returns what was decided, in words.
    """
    finish_decisions(context, run.config.name)
    champion = find_alias(context, run.config.name, CHAMPION)
    if champion is not None and int(champion.version) == version:
        return f"version {version} is champion already"
    if champion is not None and int(champion.version) > version:
        return f"version {champion.version} is champion and newer; promote {version} by hand if it is to replace it"
    incumbent = "the strongest naive forecast" if champion is None else f"version {champion.version}"
    try:
        found = compare(context, run, None if champion is None else read_run(context, champion.run_id))
    except BadInputError as error:
        return f"not compared with {incumbent}: {error}"
    words = "; ".join(describe(group, each) for group, each in found.items())
    if not is_better(found, run.config.gate.significance):
        return f"not significantly better than {incumbent} ({words})"
    if run.config.is_approval_needed:
        return (
            f"better than {incumbent} ({words}); waiting for: lakehouse promote {run.config.name} {version} --reason …"
        )
    evidence = {
        "test": find_model(run.config).paired_test.name,
        "significance": run.config.gate.significance,
        "incumbent": incumbent,
        "groups": {str(group): asdict(each) for group, each in found.items()},
    }
    change_champion(
        context,
        run.config.name,
        version,
        action="promote",
        decided_by="test",
        reason=f"better than {incumbent}: {words}",
        evidence=evidence,
    )
    return f"version {version} is champion: better than {incumbent} ({words})"


def describe(group: int, found: Comparison) -> str:
    """Put one group's comparison into words."""
    return (
        f"group {group}: loss {found.challenger_loss:.4f} against {found.incumbent_loss:.4f} on {found.rows} rows, "
        f"p {found.p_value:.4f}"
    )


def compare(context: Context, run: TrainingRun, champion: TrainingRun | None) -> dict[int, Comparison]:
    """Test a run's model against the champion's, or the naive forecasts, on the run's test rows.

    Rows that the champion was trained on are left out: it knows their answers.

    Raises:
        BadInputError: too few rows are left.
    """
    test_of = find_model(run.config).paired_test
    scored = score_run(context, run, run)
    test = scored.filter(pc.field("is_test") & ~pc.field("is_trained_on"))
    if champion is None:
        pairs = test.rename_columns(
            ["incumbent_loss" if name == "baseline_loss" else name for name in test.column_names]
        )
    else:
        other = score_run(context, champion, run).filter(~pc.field("is_trained_on") & pc.field("loss").is_valid())
        keys = key_columns(other)
        other = other.select([*keys, "loss"]).rename_columns([*keys, "incumbent_loss"])
        pairs = test.join(other, keys, join_type="inner")
    if "moment" in pairs.column_names:  # several rows of one moment err together and count as one
        means = pairs.group_by(["group", "moment"]).aggregate([("loss", "mean"), ("incumbent_loss", "mean")])
        pairs = means.rename_columns({"loss_mean": "loss", "incumbent_loss_mean": "incumbent_loss"})
    order = ("group", "moment") if "moment" in pairs.column_names else ("group", *key_columns(pairs))
    pairs = pairs.sort_by([(name, "ascending") for name in order])
    groups = sorted(set(scored.column("group").to_pylist()))
    found = {}
    for group in groups:
        rows = pairs.filter(pc.field("group") == group)
        if rows.num_rows < test_of.minimum_rows:
            expected = f"expected {test_of.minimum_rows}"
            raise BadInputError(f"{rows.num_rows} rows of group {group} that both forecast, {expected}")
        own, other = (rows.column(name).to_numpy() for name in ("loss", "incumbent_loss"))
        found[group] = test_of.compare(own, other, group)
    return found


def score_run(context: Context, run: TrainingRun, rows_of: TrainingRun) -> pa.Table:
    """Let a run's model forecast the rows of a run's snapshot; one that opens its test once says what it said then."""
    model = find_model(run.config)
    if isinstance(model, Validated):
        return read_predictions(context, run)
    wanted = find_model(rows_of.config).row_filter()
    rows = read_gold(context.settings, rows_of.pin, model.columns(), wanted)
    with download_model(context, run) as packed:
        return model.score(rows, packed / MODEL_FILES)


def promote_by_person(context: Context, name: str, version: int, reason: str) -> str:
    """Make a version champion because a person says so.

    Raises:
        BadInputError: no reason, or no such version.
    """
    if not reason.strip():
        raise BadInputError("a promotion by a person needs its reason: --reason 'why'")
    with mlflow_errors():
        finish_decisions(context, name)
        find_version(context, name, version)
        champion = find_alias(context, name, CHAMPION)
        if champion is not None and int(champion.version) == version:
            return f"version {version} of {name} is champion already"
        change_champion(context, name, version, action="promote", decided_by="person", reason=reason.strip())
        return f"version {version} of {name} is champion"


def roll_back(context: Context, name: str, reason: str) -> str:
    """Give the alias back to the champion before.

    Raises:
        BadInputError: there was none before.
    """
    with mlflow_errors():
        finish_decisions(context, name)
        line = line_of_champions(promotions_of(context, name))
        if len(line) < 2:
            raise BadInputError(f"{name} had no champion before {line[-1] if line else 'now'}: nothing to go back to")
        find_version(context, name, line[-2])
        why = reason.strip() or "rolled back"
        change_champion(context, name, line[-2], action="rollback", decided_by="person", reason=why)
        return f"version {line[-2]} of {name} is champion again, version {line[-1]} is not"


def line_of_champions(promotions: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the versions that a rollback would go back through, the present champion last."""
    line: list[int] = []
    for row in promotions:
        if not row["is_applied"]:
            continue
        if row["action"] == "rollback":
            line.pop()
        else:
            line.append(row["version"])
    return line


def promotions_of(context: Context, name: str) -> list[dict[str, Any]]:
    """Return a model's decisions in the order in which they were made."""
    require_tables(context.settings, [PROMOTIONS])
    rows = [row for row in read_log(context.settings, PROMOTIONS).to_pylist() if row["model_name"] == name]
    return sorted(rows, key=lambda row: row["decided_at"])


def change_champion(
    context: Context,
    name: str,
    version: int,
    *,
    action: str,
    decided_by: str,
    reason: str,
    evidence: Mapping[str, Any] | None = None,
) -> None:
    """Write the decision down, move the alias, and write down that it moved."""
    champion = find_alias(context, name, CHAMPION)
    row = {
        "promotion_id": secrets.token_hex(8),
        "model_name": name,
        "version": version,
        "previous_version": None if champion is None else int(champion.version),
        "action": action,
        "decided_by": decided_by,
        "promoted_by": getpass.getuser(),
        "reason": reason,
        "evidence": json.dumps(evidence or {}, sort_keys=True),
        "is_applied": False,
        "decided_at": datetime.now(UTC),
        "recorded_at": datetime.now(UTC),
    }
    require_tables(context.settings, [PROMOTIONS])
    append_log(context.settings, PROMOTIONS, [row])
    apply(context, row)


def apply(context: Context, row: Mapping[str, Any]) -> None:
    """Move the alias as decided, and record it."""
    context.client.set_registered_model_alias(row["model_name"], CHAMPION, str(row["version"]))
    append_log(context.settings, PROMOTIONS, [{**row, "is_applied": True, "recorded_at": datetime.now(UTC)}])


def finish_decisions(context: Context, name: str) -> None:
    """Carry out the last decision where it was not seen to be done; an older one was overtaken and stays a decision."""
    rows = promotions_of(context, name)
    if rows and not rows[-1]["is_applied"]:
        find_version(context, name, rows[-1]["version"])
        apply(context, rows[-1])
