"""The one settings object: defaults of the embedded profile, each overridable by a LAKEHOUSE_… environment variable.

docs/settings.md lists them, written from the fields here by `make docs`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import SettingsConfigDict

from lakehouse.config.environment import (
    PREFIX,
    SCHEDULES,
    Environment,
    Generated,
    refuse_unknown_variables,
    variable_of,
)
from lakehouse.config.lake_settings import LakeSettings
from lakehouse.config.project import absolute_home
from lakehouse.config.service_settings import ServiceSettings
from lakehouse.errors import BadInputError
from lakehouse.tables.model import CATALOG


class Settings(LakeSettings, ServiceSettings):
    """Jobs: what they read and how they run, and how long what they leave behind is kept."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True)

    landing: str = Field(
        default="", description="Where files land: a folder or `s3://bucket/prefix`. Empty: `<home>/landing`."
    )
    dialects: str = Field(
        default="", description="Folder of your dialects of meter files. Empty: `<landing>/dialects`."
    )
    image_sets: str = Field(default="", description="Folder of your image sets. Empty: `<landing>/image_sets`.")
    spark_master: str = Field(
        default="local[*]", description="Where Spark runs; the option --master of spark-submit overrides it."
    )
    driver_memory: str = Field(
        default="4g", pattern=r"^[1-9][0-9]*[mg]$", description="Memory of a job's driver, such as `800m` or `4g`."
    )
    shuffle_partitions: int = Field(
        default=8, ge=1, description="Tasks of a shuffle: a few times the cores of the whole cluster."
    )
    publish_attempts: int = Field(
        default=3, ge=1, description="How often a run stages its rows again when `main` moved meanwhile."
    )
    audit_branch_max_age_days: int = Field(
        default=7, ge=1, description="How many days the branch of a failed audit is kept."
    )
    snapshot_max_age_days: int = Field(default=30, ge=1, description="How many days a snapshot without a tag is kept.")
    orphan_file_min_age_days: int = Field(
        default=3,
        ge=3,
        description="Age in days from which a file that no snapshot names is removed; a running job's files are young.",
    )
    failed_run_tag_max_age_days: int = Field(
        default=7, ge=1, description="How many days the tag of a training run without a registered version is kept."
    )

    @model_validator(mode="before")
    @classmethod
    def _absolute_home(cls, values: dict[str, object]) -> dict[str, object]:
        values["home"] = absolute_home(values.get("home"))
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
            neither servers of its own nor given ones; one line that names each variable and repeats no value.
    """
    refuse_unknown_variables(Settings, environment)
    sources = (Environment(Settings, environment), Generated(Settings))
    try:
        # mypy knows only the fields as arguments, not those of BaseSettings
        found = Settings(_build_sources=(sources, {}))  # type: ignore[call-arg]
    except ValidationError as error:
        found_wrong = [_complaint(item["loc"], item["msg"]) for item in error.errors(include_input=False)]
        raise BadInputError("; ".join(found_wrong)) from None
    if not is_starting:
        _require_servers(found)
    return found


def _complaint(location: tuple[int | str, ...], message: str) -> str:
    words = message.removeprefix("Value error, ")
    if not location:  # settings that contradict each other: the message names them
        return words
    field = f"{location[1]}_schedule" if location[0] == SCHEDULES else str(location[0])
    return f"{variable_of(field)}: {words}"


def _require_servers(found: Settings) -> None:
    """Demand catalog and store of profile stack.

    Raises:
        BadInputError: one is not known.
    """
    known = {"warehouse": found.warehouse}
    if found.catalog_type == "jdbc":
        known["catalog_password"] = found.catalog_password.get_secret_value()
    missing = [variable_of(name) for name, value in known.items() if not value]
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


__all__ = ["CATALOG", "PREFIX", "Settings", "read_settings", "settings", "starting_settings"]
