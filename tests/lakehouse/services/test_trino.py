import json
import re
from datetime import UTC, datetime, timedelta

import bcrypt
import pytest
from cryptography import x509

from lakehouse.config.generated import make_secret, write_addresses
from lakehouse.config.settings import read_settings
from lakehouse.queries.trino import ADMIN, ANALYST
from lakehouse.services import postgres, trino

VARIABLE = re.compile(r"\$\{ENV:(\w+)\}")
SECRET = re.compile(r"(?:password|secret|key|shared-secret)=(.+)")


@pytest.fixture
def settings(tmp_path):
    write_addresses(tmp_path, {"postgres": 15432, "s3": 7070, "trino": 18443})
    names = [*postgres.DATABASES.values(), postgres.READER, "trino_internal", "s3_trino_key", "s3_trino_secret"]
    for name in (*names, "s3_jobs_key", "s3_jobs_secret"):
        make_secret(tmp_path, name)
    return read_settings({"LAKEHOUSE_HOME": str(tmp_path), "LAKEHOUSE_PROFILE": "stack"})


def test_environment_holds_every_variable_of_the_configuration_and_no_other(settings):
    files = [path for path in trino.CONFIGURATION.rglob("*") if path.is_file()]
    named = {name for path in files for name in VARIABLE.findall(path.read_text(encoding="utf-8"))}
    assert set(trino.environment(settings, 18443)) == named


def test_configuration_holds_no_secret():
    for path in trino.CONFIGURATION.rglob("*.properties"):
        for line in path.read_text(encoding="utf-8").splitlines():
            secret = SECRET.search(line)
            assert secret is None or VARIABLE.fullmatch(secret[1]), f"{path}: {line}"


def test_environment_gives_trino_the_role_and_keys_that_only_read(settings):
    variables = trino.environment(settings, 18443)
    home = settings.home / "stack" / "secrets"
    assert variables["TRINO_CATALOG_USER"] == "catalog_reader"
    assert variables["TRINO_CATALOG_PASSWORD"] == (home / "catalog_reader").read_text().strip()
    assert variables["TRINO_S3_KEY"] == (home / "s3_trino_key").read_text().strip()
    assert variables["TRINO_VIEWS_URL"] == "jdbc:postgresql://127.0.0.1:15432/trino"


def test_environment_of_a_catalog_and_store_elsewhere_is_as_given(settings):
    given = {
        "LAKEHOUSE_CATALOG_HOST": "db.example",
        "LAKEHOUSE_CATALOG_USER": "reader",
        "LAKEHOUSE_CATALOG_PASSWORD": "word",
        "LAKEHOUSE_WAREHOUSE": "s3://elsewhere/tables",
        "LAKEHOUSE_S3_ACCESS_KEY_ID": "id",
        "LAKEHOUSE_S3_SECRET_ACCESS_KEY": "word",
    }
    base = {"LAKEHOUSE_HOME": str(settings.home), "LAKEHOUSE_PROFILE": "stack"}
    variables = trino.environment(read_settings(base | given), 18443)
    assert {name: variables[f"TRINO_{name}"] for name in ("CATALOG_URL", "CATALOG_USER", "WAREHOUSE", "S3_KEY")} == {
        "CATALOG_URL": "jdbc:postgresql://db.example:5432/iceberg",
        "CATALOG_USER": "reader",
        "WAREHOUSE": "s3://elsewhere/tables",
        "S3_KEY": "id",
    }
    assert variables["TRINO_S3_ENDPOINT"] == "https://s3.us-east-1.amazonaws.com"


def test_hash_of_is_bcrypt_that_trino_takes():
    hashed = trino.hash_of("word")
    assert hashed.startswith("$2b$10$")  # Trino wants a cost of 8 or more
    assert bcrypt.checkpw(b"word", hashed.encode())


def test_make_certificate_keeps_a_good_one_and_renews_it_before_it_ends(tmp_path, monkeypatch):
    public = tmp_path / "certificate.pem"
    trino.make_certificate(public)
    first = x509.load_pem_x509_certificate(public.read_bytes())
    names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "trino"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert first.not_valid_after_utc - datetime.now(UTC) > timedelta(days=364)
    private = tmp_path / "server.pem"
    assert private.read_text().endswith(public.read_text())
    assert private.stat().st_mode & 0o077 == 0
    trino.make_certificate(public)
    assert x509.load_pem_x509_certificate(public.read_bytes()) == first
    monkeypatch.setattr(trino, "RENEWED_BEFORE_DAYS", 366)
    trino.make_certificate(public)
    assert x509.load_pem_x509_certificate(public.read_bytes()).serial_number != first.serial_number


def test_rules_name_the_two_logins_and_leave_nothing_to_anybody_else():
    rules = json.loads((trino.CONFIGURATION / "rules.json").read_text(encoding="utf-8"))
    assert {rule["user"] for rule in rules["catalogs"]} == {ADMIN, ANALYST}
    for kind, nothing in (("schemas", {"owner": False}), ("tables", {"privileges": []}), ("queries", {"allow": []})):
        assert rules[kind][-1] == nothing
        assert {rule["user"] for rule in rules[kind][:-1]} <= {ADMIN, ANALYST}
