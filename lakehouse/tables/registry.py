"""Registry tables: which model versions there are and who made which of them the champion; append-only logs.

MLflow's registry is where aliases live. These say the same in SQL, with the snapshots and reasons that MLflow lacks.
"""

from __future__ import annotations

from lakehouse.tables.model import Column, Table

MODEL_VERSIONS = Table(
    layer="registry",
    name="model_versions",
    doc="One row per registered model version: what it was trained on and how it passed its gate.",
    columns=(
        Column("model_name", "string", "Registered model, e.g. household_power_lgbm."),
        Column("version", "int", "Version in MLflow's registry.", minimum=1),
        Column("mlflow_run_id", "string", "The MLflow run that trained it."),
        Column("experiment_name", "string", "MLflow experiment of the run."),
        Column("model_type", "string", "Learner, e.g. lightgbm."),
        Column("owner", "string", "Who answers for the model, as its configuration says."),
        Column("is_gate_passed", "boolean", "Every demand of the gate held."),
        Column("gate_verdict", "string", "What the gate demanded and saw, one line."),
        Column("metrics", "string", "Metrics on the test rows, JSON."),
        Column("table_names", "array<string>", "Tables that were read."),
        Column("tags", "array<string>", "Their tags, in the same order; kept as long as the version."),
        Column("snapshot_ids", "array<bigint>", "Their snapshots, in the same order."),
        Column("config_sha256", "string", "SHA-256 of the configuration it was trained with, hex."),
        Column("model_sha256", "string", "SHA-256 over the model's files, hex."),
        Column("git_commit", "string", "Commit of the code, + where files differed from it; empty outside of git."),
        Column("registered_at", "timestamp", "When, UTC."),
    ),
    primary_key=("model_name", "version"),
    sorted_by=("registered_at",),
    kind="log",
)

PROMOTIONS = Table(
    layer="registry",
    name="promotions",
    doc="One row per change of a champion: who, when, why, and the evidence; written before and after the alias moves.",
    columns=(
        Column("promotion_id", "string", "This decision: a random id."),
        Column("model_name", "string", "Registered model."),
        Column("version", "int", "The version that becomes champion.", minimum=1),
        Column("previous_version", "int", "The champion before; null for the first.", nullable=True, minimum=1),
        Column("action", "string", "What was decided.", allowed=("promote", "rollback")),
        Column("decided_by", "string", "A paired test, or a person.", allowed=("test", "person")),
        Column("promoted_by", "string", "Login name of the process."),
        Column("reason", "string", "Why, in words."),
        Column("evidence", "string", "The figures behind it, JSON."),
        Column("is_applied", "boolean", "The alias was seen to have moved; false is a decision only."),
        Column("decided_at", "timestamp", "When, UTC."),
        Column("recorded_at", "timestamp", "When this row was written, UTC."),
    ),
    primary_key=("promotion_id",),
    sorted_by=("recorded_at",),
    kind="log",
)
