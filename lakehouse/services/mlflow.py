"""MLflow's server: its pages over the embedded store, or in profile stack a server with a login over PostgreSQL and S3.

Writes  <home>/stack/mlflow/login.ini   profile stack: where the server keeps its users; mode 0600

In profile stack, training talks to this server alone: it has keys neither of the database nor of the bucket.
"""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse.config.generated import BUCKETS, MLFLOW_USER, make_secret, stack_folder
from lakehouse.config.private_files import write_private
from lakehouse.config.settings import PREFIX, Settings
from lakehouse.services import postgres, s3
from lakehouse.services.plan import ServicePlan

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # of language models' evaluations: 280 MB for what nobody asks here
}
LOGIN = """\
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = {database}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


def plan(settings: Settings, port: int, outer: Mapping[str, str], database_port: int = 0) -> ServicePlan:
    """Return how the server is started; passwords go by its environment or a private file, never its command line."""
    command = ("mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port))
    own = {name: value for name, value in outer.items() if not name.startswith(("AIRFLOW", "AWS_"))} | QUIET
    if settings.profile == "embedded":
        own |= {
            "MLFLOW_BACKEND_STORE_URI": settings.mlflow_tracking_uri,
            "MLFLOW_DEFAULT_ARTIFACT_ROOT": settings.mlflow_artifacts_uri,
        }
        return ServicePlan("mlflow", command, own, port)
    own = {name: value for name, value in own.items() if not name.startswith(PREFIX)}
    own |= store(settings) | login(settings, database_port)
    return ServicePlan("mlflow", (*command, "--app-name", "basic-auth", "--serve-artifacts"), own, port)


def login(settings: Settings, database_port: int) -> dict[str, str]:
    """Write down where users are kept, and return the variables of the database and of the first user."""
    database = postgres.uri(settings, "mlflow", database_port)
    file = stack_folder(settings.home) / "mlflow" / "login.ini"
    write_private(file, LOGIN.format(database=database))
    return {
        "MLFLOW_BACKEND_STORE_URI": database,
        "MLFLOW_AUTH_CONFIG_PATH": str(file),
        "MLFLOW_AUTH_ADMIN_USERNAME": MLFLOW_USER,
        "MLFLOW_AUTH_ADMIN_PASSWORD": make_secret(settings.home, "mlflow_login"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": make_secret(settings.home, "mlflow_cookies"),
    }


def store(settings: Settings) -> dict[str, str]:
    """Return the variables of the store that keeps models and plots: the bucket of the native one, or the given one."""
    if settings.has_own_store:
        access, secret = s3.keys(settings, "mlflow")
        destination = f"s3://{BUCKETS[2]}/artifacts"
    else:
        access, secret = settings.s3_access_key_id, settings.s3_secret_access_key.get_secret_value()
        bucket = settings.warehouse_uri.removeprefix("s3://").partition("/")[0]
        destination = f"s3://{bucket}/mlflow"
    found = {
        "MLFLOW_ARTIFACTS_DESTINATION": destination,
        "MLFLOW_S3_ENDPOINT_URL": settings.s3_endpoint,
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": settings.s3_region,
    }
    return {name: value for name, value in found.items() if value}
