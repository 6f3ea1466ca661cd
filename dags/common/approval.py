"""A person's decision on a champion: the task waits, shows champion and challenger side by side, and keeps the answer.

Reads  lakehouse.registry.model_versions, lakehouse.registry.promotions
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowFailException

from lakehouse.config.settings import settings
from lakehouse.tables.registry import MODEL_VERSIONS, PROMOTIONS

Row = Mapping[str, Any]


class ModelApproval(ApprovalOperator):
    """Ask whether a model's new version is to be champion; a refusal skips its promotion, and the champion stays."""

    def __init__(self, *, model: str, prepared_by: str, compared_by: str, **kwargs: Any) -> None:
        super().__init__(
            subject=f"Make the new version of {model} the champion?",
            body="What is known of both is written here when the question is asked.",
            **kwargs,
        )
        self.model = model
        self.prepared_by = prepared_by
        self.compared_by = compared_by

    def execute(self, context: Any) -> None:
        """Write the question and wait.

        Raises:
            AirflowFailException: the run was not registered.
        """
        from lakehouse.lake.catalog import read_log

        ti = context["ti"]
        run_id = ti.xcom_pull(task_ids=self.prepared_by)["mlflow_run_id"]
        verdict = ti.xcom_pull(task_ids=self.compared_by)["verdict"]
        versions = [row for row in read_log(settings(), MODEL_VERSIONS).to_pylist() if row["model_name"] == self.model]
        challenger = next((row for row in versions if row["mlflow_run_id"] == run_id), None)
        if challenger is None:
            raise AirflowFailException(f"run {run_id} has no version in {MODEL_VERSIONS.identifier}")
        champion = find_champion(self.model, versions, read_log(settings(), PROMOTIONS).to_pylist())
        ti.xcom_push(key="version", value=str(challenger["version"]))
        self.body = side_by_side(champion, challenger, verdict)
        self.log.info("%s", self.body)
        super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Keep who answered, as the reason of the promotion."""
        user = event.get("responded_by_user") or {}
        who = user.get("name") or user.get("id") or "nobody"
        dag_run = context["dag_run"]
        context["ti"].xcom_push(key="reason", value=f"approved by {who} in {dag_run.dag_id} {dag_run.run_id}")
        return super().execute_complete(context, event)


def find_champion(model: str, versions: Sequence[Row], promotions: Sequence[Row]) -> Row | None:
    """Return the version that was made champion last."""
    applied = [row for row in promotions if row["model_name"] == model and row["is_applied"]]
    if not applied:
        return None
    number = max(applied, key=lambda row: row["recorded_at"])["version"]
    return next((row for row in versions if row["version"] == number), None)


def side_by_side(champion: Row | None, challenger: Row, verdict: str) -> str:
    """Return the question's text: a table of both versions, then what the paired test says; Markdown."""
    ours = facts_of(challenger)
    theirs = facts_of(champion) if champion else {}
    lines = ["| | champion | challenger |", "|---|---|---|"]
    lines += [f"| {name} | {theirs.get(name, '—')} | {value} |" for name, value in ours.items()]
    lines += ["", f"Paired test on the same rows: {verdict}"]
    if champion is None:
        lines.append("There is no champion yet.")
    return "\n".join(lines)


def facts_of(row: Row) -> dict[str, str]:
    """Return what is told of one version."""
    metrics = json.loads(row["metrics"])
    return {
        "version": str(row["version"]),
        "type": row["model_type"],
        "registered": f"{row['registered_at']:%Y-%m-%d %H:%M} UTC",
        "snapshot": ", ".join(map(str, row["snapshot_ids"])),
        "MLflow run": row["mlflow_run_id"],
        **{name: f"{value:.4f}" for name, value in sorted(metrics.items())},
    }
