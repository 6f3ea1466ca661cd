"""Trino from the command line: the views of sql/ are made there, and its results are read as Arrow.

The login is always verified: HTTPS, the server's certificate, a password from a file or the environment.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import requests
from trino import constants, dbapi
from trino.auth import BasicAuthentication
from trino.exceptions import Error, HttpError, TrinoQueryError

from lakehouse.config.generated import read_secret, stack_folder
from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError, LakehouseError, UnavailableError
from lakehouse.queries.statements import VIEW_CATALOG, SqlFile
from lakehouse.tables import CATALOG

logger = logging.getLogger(__name__)

ADMIN, ANALYST = "admin", "analyst"
"""The two logins: who makes views, and who reads (conf/trino/rules.json)."""
SOURCE = "lakehouse-tick"
"""What Trino's pages call the queries of this command line."""
BATCH_ROWS = 10_000
ANSWER_WITHIN_S = 60.0
"""For one exchange with the server, of which a query has many."""
INTERNAL = ("INTERNAL_ERROR", "INSUFFICIENT_RESOURCES", "EXTERNAL")
"""Trino's kinds of errors that are not the statement's."""

ARROW_TYPES = {
    "boolean": pa.bool_(),
    "tinyint": pa.int64(),
    "smallint": pa.int64(),
    "integer": pa.int64(),
    "bigint": pa.int64(),
    "real": pa.float64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "varbinary": pa.binary(),
}


@dataclass(frozen=True)
class Login:
    """Where Trino is, as whom it is asked, and what its certificate is verified by."""

    host: str
    port: int
    user: str
    password: str
    certificate: Path | None
    """None: by the authorities that this machine trusts."""


def login_of(settings: Settings, user: str) -> Login:
    """Return how a user logs in: by the settings, else as `lakehouse up` has generated it.

    Raises:
        BadInputError: this is not the profile with a Trino, or nothing has been generated yet.
    """
    if settings.profile == "embedded":
        raise BadInputError("profile embedded has no Trino; `lakehouse sql run` and `lakehouse query` need none")
    password = settings.trino_password.get_secret_value()
    certificate = Path(settings.trino_certificate) if settings.trino_certificate else None
    if not password:
        password = read_secret(settings.home, f"trino_{user}")
        certificate = certificate or certificate_file(settings.home)
    return Login(settings.trino_host, settings.trino_port, settings.trino_user or user, password, certificate)


def trino_folder(home: Path) -> Path:
    """Return the folder of the native server's state."""
    return stack_folder(home) / "trino"


def certificate_file(home: Path) -> Path:
    """Return where the certificate is by which clients verify the native server."""
    return trino_folder(home) / "tls" / "certificate.pem"


@contextmanager
def open_connection(login: Login) -> Iterator[dbapi.Connection]:
    """Open a connection; what goes wrong inside is raised as one line with its exit code.

    Raises:
        BadInputError: wrong login, wrong statement, or no right to do it.
        UnavailableError: the server, or something that it needs, is away.
    """
    if not logger.isEnabledFor(logging.DEBUG):
        logging.getLogger("trino").setLevel(logging.CRITICAL)  # what it would say of a failure is said once, by us
    try:
        with dbapi.connect(
            host=login.host,
            port=login.port,
            user=login.user,
            auth=BasicAuthentication(login.user, login.password),
            http_scheme=constants.HTTPS,
            http_session=verified_session(login),
            catalog=CATALOG,
            source=SOURCE,
            timezone="UTC",
            request_timeout=ANSWER_WITHIN_S,
            max_attempts=2,
        ) as connection:
            yield connection
    except TrinoQueryError as error:
        raise explain(error) from None
    except (requests.RequestException, HttpError, Error) as error:
        raise explain_refusal(error, login) from None


def verified_session(login: Login) -> requests.Session:
    """Return a session that trusts this server's certificate alone, whatever REQUESTS_CA_BUNDLE may say.

    Raises:
        BadInputError: the certificate's file is missing.
    """
    session = requests.Session()
    if login.certificate:
        if not login.certificate.is_file():
            raise BadInputError(
                f"{login.certificate}, by which Trino is verified, is missing; `lakehouse up` makes ours"
            )
        session.trust_env = False
        session.verify = str(login.certificate)
    return session


def explain_refusal(error: Exception, login: Login) -> LakehouseError:
    """Turn what kept a statement from reaching the server, or its answer from coming back, into one line."""
    where, text = f"Trino at {login.host}:{login.port}", str(error)
    if "error 401" in text:
        return BadInputError(f"{where} refuses the login of {login.user}: wrong user or password")
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return BadInputError(f"{where} has no certificate that {login.certificate or 'this machine'} vouches for")
    return UnavailableError(f"{where} does not answer ({_reason(text)}); `lakehouse status` says more")


def explain(error: TrinoQueryError) -> LakehouseError:
    """Turn Trino's error into one line."""
    message = " ".join(str(error.message).split())
    if error.error_type in INTERNAL:
        return UnavailableError(f"Trino: {error.error_name}: {message}")
    return BadInputError(f"SQL: {message}")


def _reason(text: str) -> str:
    """Return the system's own words from the messages that requests wraps into one another."""
    words = re.search(r"\[Errno -?\d+\] (?P<words>[^\"')]+)|(?P<late>timed out)", text)
    return (words["words"] or words["late"]) if words else " ".join(text.split())[:200]


def apply_views(connection: dbapi.Connection, files: Sequence[SqlFile]) -> Iterator[tuple[str, str]]:
    """Make the views as the files say; yield each name with what was done: made, replaced, unchanged or why not.

    Views that no file has any more are named and left.
    """
    cursor = connection.cursor()
    views = {file.view: file for file in files if file.is_view}
    for schema in sorted({file.schema for file in views.values()}):
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}").fetchall()
    present = view_comments(connection)
    for name, file in views.items():
        if present.get(name) == file.comment:
            yield name, "unchanged"
            continue
        try:
            cursor.execute(file.definition).fetchall()
        except TrinoQueryError as error:
            failure = explain(error)
            if not isinstance(failure, BadInputError):
                raise failure from None
            yield name, f"failed: {failure}"
        else:
            yield name, "replaced" if name in present else "made"
    for name in sorted(set(present) - set(views)):
        yield name, f"left as it is: no file is called sql/{name.partition('.')[2].replace('.', '/')}.sql"


def view_comments(connection: dbapi.Connection) -> dict[str, str]:
    """Return the comment of each view by its name."""
    rows = connection.cursor().execute(
        "SELECT schema_name, table_name, comment FROM system.metadata.table_comments "
        "WHERE catalog_name = ? AND schema_name NOT IN ('information_schema', 'system')",
        [VIEW_CATALOG],
    )
    return {f"{VIEW_CATALOG}.{schema}.{name}": comment or "" for schema, name, comment in rows.fetchall()}


def ask(connection: dbapi.Connection, sql: str) -> pa.RecordBatchReader:
    """Run a statement and stream its result."""
    cursor = connection.cursor()
    cursor.execute(sql)
    rows = cursor.fetchmany(BATCH_ROWS)
    schema = pa.schema([pa.field(column[0], arrow_type(column[1])) for column in cursor.description or ()])

    def batches() -> Iterator[pa.RecordBatch]:
        batch = rows
        while batch:
            yield record_batch(batch, schema)
            batch = cursor.fetchmany(BATCH_ROWS)

    return pa.RecordBatchReader.from_batches(schema, batches())


def record_batch(rows: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.RecordBatch:
    """Turn rows into columns."""
    columns = [
        pa.array([_as_text(row[number], field.type) for row in rows], field.type) for number, field in enumerate(schema)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _as_text(value: Any, kind: pa.DataType) -> Any:
    return str(value) if pa.types.is_string(kind) and value is not None else value


def arrow_type(spelled: str) -> pa.DataType:
    """Return Arrow's type of one of Trino's; what Arrow has no simple type for becomes text."""
    spelled = spelled.lower()
    if match := re.fullmatch(r"decimal\((\d+), ?(\d+)\)", spelled):
        return pa.decimal128(int(match[1]), int(match[2]))
    if match := re.fullmatch(r"array\((.+)\)", spelled):
        return pa.list_(arrow_type(match[1]))
    if spelled.startswith("timestamp"):
        return pa.timestamp("us", "UTC" if spelled.endswith("with time zone") else None)
    return ARROW_TYPES.get(spelled, pa.string())
