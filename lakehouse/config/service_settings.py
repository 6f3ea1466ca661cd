"""Settings of the services that `lakehouse up` starts: where they listen, how Airflow works, how long logs are kept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

ScheduleName = Literal["manual", "quarter_hourly", "hourly", "daily", "weekly", "monthly"]


class ServiceSettings(BaseSettings):
    """Services: Airflow, MLflow, Trino, PostgreSQL, the S3 server, the quality pages, and what they write down."""

    airflow_port: int = Field(
        default=8080, ge=1024, le=65535, description="Port of Airflow's pages; if it is taken, a free one."
    )
    airflow_bind: str = Field(default="127.0.0.1", description="Address that Airflow's pages listen on.")
    airflow_address: str = Field(
        default="",
        description="URL at which Airflow's processes reach its pages. Empty: `http://127.0.0.1:<its port>`.",
    )
    airflow_tasks_at_once: int = Field(
        default=2,
        ge=1,
        le=64,
        description="How many tasks run at once; each Spark job takes `LAKEHOUSE_DRIVER_MEMORY`.",
    )
    retry_delay_seconds: int = Field(
        default=60, ge=1, description="Pause before a task's first retry; doubled each time, half an hour at most."
    )
    deadline_minutes: int = Field(
        default=360, ge=1, description="A Dag's run that takes longer than this raises a notice."
    )
    schedules: dict[str, ScheduleName] = Field(
        default_factory=dict,
        description="When the domain's Dag runs. Not set: as the Dag's page says; the page also names the values that "
        "the Dag knows.",
    )
    maintenance_schedule: Literal["daily", "manual"] = Field(
        default="daily", description="When the Dag `maintenance` runs."
    )
    training_pods: bool = Field(
        default=False, description="Whether training tasks ask for Kubernetes pods, by Airflow's executor for them."
    )
    log_max_age_days: int = Field(
        default=30, ge=1, description="How many days logs of services and tasks are kept, here and in the store."
    )
    task_logs: str = Field(
        default="",
        pattern=r"^(s3://[^/?#]+(/[^?#]*)?)?$",
        description="Where logs of tasks are kept besides this machine: `s3://bucket/prefix` at the store's endpoint.",
    )
    task_logs_access_key_id: str = Field(
        default="", description="Key for the store of task logs. Empty: the keys that the tables are written with."
    )
    task_logs_secret_access_key: SecretStr = Field(
        default=SecretStr(""), description="Secret of `LAKEHOUSE_TASK_LOGS_ACCESS_KEY_ID`."
    )

    mlflow_port: int = Field(
        default=5000, ge=1024, le=65535, description="Port of MLflow's pages; if it is taken, a free one."
    )
    mlflow_tracking: str = Field(
        default="", description="MLflow's store of runs and versions. Empty: `sqlite:///<home>/mlflow/mlflow.db`."
    )
    mlflow_artifacts: str = Field(
        default="", description="Root of MLflow's files. Empty: `file://<home>/mlflow/artifacts`."
    )
    mlflow_user: str = Field(default="", description="Login at MLflow's server. Empty: the server asks for none.")
    mlflow_password: SecretStr = Field(default=SecretStr(""), description="Password at MLflow's server.")

    reports_port: int = Field(
        default=8081, ge=1024, le=65535, description="Port of the quality pages; if it is taken, a free one."
    )
    postgres_host: str = Field(
        default="127.0.0.1", description="Profile stack: host of Airflow's and MLflow's databases."
    )
    postgres_port: int = Field(
        default=15432, ge=1024, le=65535, description="Profile stack: PostgreSQL's port; if it is taken, a free one."
    )
    s3_port: int = Field(
        default=7070, ge=1024, le=65535, description="Profile stack: the S3 server's port; if it is taken, a free one."
    )
    trino_host: str = Field(default="127.0.0.1", description="Trino's host.")
    trino_port: int = Field(
        default=18443, ge=1024, le=65535, description="Profile stack: Trino's port; if it is taken, a free one."
    )
    trino_user: str = Field(
        default="", description="Login at a Trino elsewhere. The one that `lakehouse up` starts has admin and analyst."
    )
    trino_password: SecretStr = Field(default=SecretStr(""), description="Password at a Trino elsewhere.")
    trino_certificate: str = Field(
        default="",
        description="File with the certificate of a Trino elsewhere. Empty: the certificates that this machine trusts.",
    )
