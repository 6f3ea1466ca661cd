from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from trino.exceptions import TrinoConnectionError, TrinoExternalError, TrinoUserError

from lakehouse.config.settings import read_settings
from lakehouse.errors import BadInputError, ExitCode
from lakehouse.queries.trino import Login, arrow_type, explain, explain_refusal, login_of, open_connection, record_batch

LOGIN = Login("127.0.0.1", 18443, "analyst", "word", Path("/nowhere/certificate.pem"))


def test_record_batch_keeps_decimals_times_and_nulls():
    schema = pa.schema(
        [
            ("price", arrow_type("decimal(18,8)")),
            ("bar_start", arrow_type("timestamp(6) with time zone")),
            ("hour_start", arrow_type("timestamp(6)")),
            ("tags", arrow_type("array(varchar)")),
            ("span", arrow_type("interval day to second")),
        ]
    )
    moment = datetime(2024, 8, 8, 12, tzinfo=UTC)
    rows = [
        [Decimal("0.12345678"), moment, moment.replace(tzinfo=None), ["a", None], "1 00:00:00.000"],
        [None, None, None, None, None],
    ]
    assert [tuple(row.values()) for row in record_batch(rows, schema).to_pylist()] == [tuple(row) for row in rows]
    assert [str(field.type) for field in schema] == [
        *("decimal128(18, 8)", "timestamp[us, tz=UTC]", "timestamp[us]", "list<item: string>", "string")
    ]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        pytest.param(
            TrinoUserError({"errorType": "USER_ERROR", "errorName": "SYNTAX_ERROR", "message": "line 1:8:\n no"}, "q"),
            ExitCode.BAD_INPUT,
            "SQL: line 1:8: no",
            id="the statement's",
        ),
        pytest.param(
            TrinoExternalError({"errorType": "EXTERNAL", "errorName": "ICEBERG_CATALOG_ERROR", "message": "away"}, "q"),
            ExitCode.UNAVAILABLE,
            "Trino: ICEBERG_CATALOG_ERROR: away",
            id="the catalog's",
        ),
    ],
)
def test_explain_tells_the_statement_s_errors_from_the_server_s(error, code, message):
    found = explain(error)
    assert (found.exit_code, str(found)) == (code, message)


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        pytest.param(
            "error 401: b'Access Denied: Invalid credentials'",
            ExitCode.BAD_INPUT,
            "Trino at 127.0.0.1:18443 refuses the login of analyst: wrong user or password",
            id="login",
        ),
        pytest.param(
            "failed to execute: HTTPSConnectionPool(host='127.0.0.1', port=18443): Max retries exceeded with url: "
            "/v1/statement (Caused by NewConnectionError(\"HTTPSConnection(host='127.0.0.1', port=18443): Failed to "
            'establish a new connection: [Errno 111] Connection refused"))',
            ExitCode.UNAVAILABLE,
            "Trino at 127.0.0.1:18443 does not answer (Connection refused); `lakehouse status` says more",
            id="away",
        ),
        pytest.param(
            "(Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify "
            "failed: self-signed certificate (_ssl.c:1006)')))",
            ExitCode.BAD_INPUT,
            "Trino at 127.0.0.1:18443 has no certificate that /nowhere/certificate.pem vouches for",
            id="certificate",
        ),
    ],
)
def test_explain_refusal_is_one_line(text, code, message):
    found = explain_refusal(TrinoConnectionError(text), LOGIN)
    assert (found.exit_code, str(found)) == (code, message)


def test_open_connection_names_a_missing_certificate():
    with pytest.raises(BadInputError, match=r"/nowhere/certificate\.pem, by which"), open_connection(LOGIN):
        pass


def test_login_of_a_server_elsewhere_is_as_the_settings_say(tmp_path):
    given = {
        "LAKEHOUSE_HOME": str(tmp_path),
        "LAKEHOUSE_PROFILE": "stack",
        "LAKEHOUSE_WAREHOUSE": "s3://elsewhere/tables",
        "LAKEHOUSE_CATALOG_PASSWORD": "word",
        "LAKEHOUSE_TRINO_HOST": "trino.example",
        "LAKEHOUSE_TRINO_PORT": "8443",
        "LAKEHOUSE_TRINO_USER": "ada",
        "LAKEHOUSE_TRINO_PASSWORD": "word",
    }
    # without a certificate of its own it is verified by the authorities that the machine trusts
    assert login_of(read_settings(given), "analyst") == Login("trino.example", 8443, "ada", "word", None)


def test_login_of_profile_embedded_says_what_to_use_instead(tmp_path):
    with pytest.raises(BadInputError, match="profile embedded has no Trino; `lakehouse sql run`"):
        login_of(read_settings({"LAKEHOUSE_HOME": str(tmp_path)}), "admin")


def test_login_of_a_server_that_was_never_started_says_what_makes_it(tmp_path):
    given = {"LAKEHOUSE_WAREHOUSE": "s3://lake/warehouse", "LAKEHOUSE_CATALOG_PASSWORD": "word"}
    settings = read_settings({"LAKEHOUSE_HOME": str(tmp_path), "LAKEHOUSE_PROFILE": "stack"} | given)
    with pytest.raises(BadInputError, match=r"stack/secrets/trino_admin can't be read .*`lakehouse up` makes it"):
        login_of(settings, "admin")
