"""The one settings object: defaults of the embedded profile, each overridable by a LAKEHOUSE_… environment variable."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, model_validator

from lakehouse.config.generated import generated_settings
from lakehouse.config.lake_settings import DEFAULT_HOME, LakeSettings
from lakehouse.config.project import ROOT, is_whole
from lakehouse.errors import BadInputError
from lakehouse.tables.model import CATALOG

PREFIX = "LAKEHOUSE_"
TEST_VARIABLES = frozenset({"LAKEHOUSE_REAL_DATA"})
"""Read by tests alone, so no field; set in an environment they must not be refused."""


class Settings(LakeSettings):
    """Where state lives and how to reach it; catalog and store are in lake_settings."""

    landing: str = Field(
        default="", description="Where files land: a folder or s3://bucket/prefix; default <home>/landing."
    )
    dialects: str = Field(
        default="", description="Where dialects of meter files are declared; default <landing>/dialects."
    )
    image_sets: str = Field(
        default="", description="Where a user's image sets are declared; default <landing>/image_sets."
    )
    spark_master: str = Field(default="local[*]", description="spark-submit's --master wins over it.")
    driver_memory: str = Field(default="4g", pattern=r"^[1-9][0-9]*[mg]$")
    shuffle_partitions: int = Field(default=8, ge=1, description="A few times the cores of the whole cluster.")

    mlflow_tracking: str = Field(
        default="", description="MLflow's store of runs and versions; default sqlite:///<home>/mlflow/mlflow.db."
    )
    mlflow_artifacts: str = Field(
        default="", description="Root of MLflow's files; default file://<home>/mlflow/artifacts."
    )
    mlflow_user: str = Field(default="", description="Login at MLflow's server; empty where it asks for none.")
    mlflow_password: SecretStr = SecretStr("")
    failed_run_tag_max_age_days: int = Field(
        default=7, ge=1, description="How long the tag of a training run without a registered version is kept."
    )

    airflow_port: int = Field(default=8080, ge=1024, le=65535, description="Airflow's pages; a free one if taken.")
    mlflow_port: int = Field(default=5000, ge=1024, le=65535, description="MLflow's pages; a free one if taken.")
    reports_port: int = Field(default=8081, ge=1024, le=65535, description="The quality pages; a free one if taken.")
    airflow_bind: str = Field(default="127.0.0.1", description="Address that Airflow's pages listen on.")
    airflow_address: str = Field(
        default="", description="Where Airflow's processes reach its pages; default http://127.0.0.1:<its port>."
    )
    postgres_host: str = Field(default="127.0.0.1", description="Stack: where Airflow's and MLflow's databases are.")
    postgres_port: int = Field(default=15432, ge=1024, le=65535, description="Stack; a free one if taken.")
    s3_port: int = Field(default=7070, ge=1024, le=65535, description="Stack; a free one if taken.")
    trino_port: int = Field(default=18443, ge=1024, le=65535, description="Stack; a free one if taken.")
    trino_host: str = "127.0.0.1"
    trino_user: str = Field(default="", description="Login at a Trino elsewhere; ours has admin and analyst.")
    trino_password: SecretStr = SecretStr("")
    trino_certificate: str = Field(
        default="", description="File with the certificate of a Trino elsewhere; empty: as this machine trusts."
    )
    airflow_tasks_at_once: int = Field(
        default=2, ge=1, le=64, description="Tasks that run at once; each Spark job takes driver_memory."
    )
    retry_delay_seconds: int = Field(
        default=60, ge=1, description="Before a task's first retry; doubled each time, half an hour at most."
    )
    finance_schedule: Literal["daily", "quarter_hourly", "manual"] = "daily"
    forecast_schedule: Literal["daily", "monthly", "quarter_hourly", "manual"] = "daily"
    maintenance_schedule: Literal["daily", "manual"] = "daily"
    vision_schedule: Literal["manual", "weekly"] = "manual"
    training_pods: bool = Field(
        default=False, description="Training in Kubernetes pods, by Airflow's executor for them."
    )
    deadline_minutes: int = Field(default=360, ge=1, description="A Dag's run that takes longer raises a notice.")
    log_max_age_days: int = Field(default=30, ge=1, description="How long logs of services and tasks are kept.")
    task_logs: str = Field(
        default="",
        pattern=r"^(s3://[^/?#]+(/[^?#]*)?)?$",
        description="Where logs of tasks are kept besides, s3://bucket/prefix at the store's endpoint.",
    )
    task_logs_access_key_id: str = Field(default="", description="Empty: the keys that the tables are written with.")
    task_logs_secret_access_key: SecretStr = SecretStr("")

    audit_branch_max_age_days: int = Field(default=7, ge=1, description="How long a failed audit's branch is kept.")
    snapshot_max_age_days: int = Field(default=30, ge=1, description="How long snapshots without a tag are kept.")
    orphan_file_min_age_days: int = Field(
        default=3, ge=3, description="Files that no snapshot names are removed then; never below three days."
    )
    publish_attempts: int = Field(default=3, ge=1, description="How often a run restages where main moved meanwhile.")

    @model_validator(mode="before")
    @classmethod
    def _absolute_home(cls, values: dict[str, object]) -> dict[str, object]:
        values["home"] = _absolute(values.get("home"))
        return values

    @property
    def landing_root(self) -> str:
        """The landing folder or prefix, without a slash at the end."""
        return (self.landing or str(self.home / "landing")).rstrip("/")

    @property
    def mlflow_tracking_uri(self) -> str:
        """MLflow's store as MLflow reads it; may hold a password in the stack profile, so never print it."""
        return self.mlflow_tracking or f"sqlite:///{self.home / 'mlflow' / 'mlflow.db'}"

    @property
    def mlflow_artifacts_uri(self) -> str:
        """Root of MLflow's files as a URI, without a slash at the end."""
        return (self.mlflow_artifacts or (self.home / "mlflow" / "artifacts").as_uri()).rstrip("/")

    @property
    def forecasts(self) -> Path:
        """Folder of forecasts that are computed and not published yet."""
        return self.home / "forecasts"

    @property
    def airflow_home(self) -> Path:
        """Folder of Airflow's database, secrets and the state of the services."""
        return self.home / "airflow"

    @property
    def logs(self) -> Path:
        """Folder of the logs of all services and of Airflow's tasks."""
        return self.home / "logs"

    @property
    def reports(self) -> Path:
        """Folder of the data-quality pages; index.html is the one to open."""
        return self.home / "reports"


def read_settings(environment: Mapping[str, str], *, is_starting: bool = False) -> Settings:
    """Build the settings from an environment; in profile stack, what it lacks is what `lakehouse up` has generated.

    `is_starting` leaves out the demand that catalog and store are known: `up` itself is about to generate them.

    Raises:
        BadInputError: a LAKEHOUSE_ variable is unknown, its value is not what the setting takes, or profile stack has
            neither servers of its own nor given ones.
    """
    names = {PREFIX + name.upper(): name for name in Settings.model_fields}
    values: dict[str, str] = {}
    for variable, value in environment.items():
        if not variable.upper().startswith(PREFIX) or variable in TEST_VARIABLES:
            continue
        if variable not in names:
            near = difflib.get_close_matches(variable, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(names))}"
            raise BadInputError(f"{variable} is no setting{hint}")
        values[names[variable]] = value
    if values.get("profile") == "stack":
        values |= generated_settings(_absolute(values.get("home")), values)
    try:
        found = Settings(**values)  # type: ignore[arg-type]  # pydantic turns the texts into the fields' types
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = f"{PREFIX}{str(first['loc'][0]).upper()}: " if first["loc"] else ""  # several together name themselves
        raise BadInputError(where + first["msg"].removeprefix("Value error, ")) from None
    if not is_starting:
        _require_servers(found)
    return found


def _absolute(home: object) -> Path:
    if not home and not is_whole():
        raise BadInputError(
            f"LAKEHOUSE_HOME: expected the folder of all state, found none; lakehouse is installed in {ROOT}, apart "
            "from the project's folder, so there is no default"
        )
    return Path(str(home or DEFAULT_HOME)).expanduser().absolute()


def _require_servers(found: Settings) -> None:
    """Demand catalog and store of profile stack.

    Raises:
        BadInputError: one is not known.
    """
    known = {"WAREHOUSE": found.warehouse}
    if found.catalog_type == "jdbc":
        known["CATALOG_PASSWORD"] = found.catalog_password.get_secret_value()
    missing = [PREFIX + name for name, value in known.items() if not value]
    if found.profile == "stack" and missing:
        raise BadInputError(
            f"profile stack needs {', '.join(missing)}, or the servers that `lakehouse up` starts below {found.home}"
        )


@cache
def settings() -> Settings:
    """The settings of this process, read once from its environment."""
    return read_settings(os.environ)


def starting_settings() -> Settings:
    """The settings of a command that starts, ends or examines servers, also before there are any; read each time."""
    return read_settings(os.environ, is_starting=True)


__all__ = ["CATALOG", "Settings", "read_settings", "settings", "starting_settings"]
