import contextlib
import http.server
import os
import socket
import sqlite3
import threading
from pathlib import Path

import pytest

from lakehouse.config.settings import read_settings
from lakehouse.install import doctor
from lakehouse.install.doctor import Finding
from lakehouse.install.java import java_problem


def settings_in(folder: Path, **values: str):
    return read_settings(
        {"LAKEHOUSE_HOME": str(folder), **{f"LAKEHOUSE_{key.upper()}": text for key, text in values.items()}}
    )


def java_home(folder: Path, version: str) -> Path:
    """A folder that looks like a Java installation of that version."""
    (folder / "bin").mkdir(parents=True)
    java = folder / "bin" / "java"
    java.write_text("#!/bin/sh\nexit 1\n")
    java.chmod(0o755)
    (folder / "release").write_text(f'IMPLEMENTOR="Test"\nJAVA_VERSION="{version}"\n')
    return folder


@pytest.mark.parametrize("version", ["17.0.15", "21", "21.0.2+13"])
def test_check_java_takes_the_supported_versions(tmp_path, version):
    home = java_home(tmp_path / "jdk", version)
    major = version[:2]
    assert doctor.check_java({"JAVA_HOME": str(home)}) == Finding("Java", "ok", f"{major} at {home}/bin/java")


@pytest.mark.parametrize("version", ["1.8.0_412", "11.0.2", "25"])
def test_check_java_refuses_other_versions_and_offers_a_command(tmp_path, version):
    home = java_home(tmp_path / "jdk", version)
    found = doctor.check_java({"JAVA_HOME": str(home), "PATH": os.environ["PATH"]})
    assert (found.check, found.state, found.message) == (
        "Java",
        "missing",
        f"expected Java 17 or 21, {home}/bin/java is Java {version.partition('.')[0]}",
    )
    assert found.fix.startswith(("export JAVA_HOME=", "apt-get install", "brew install", "dnf install", "install Java"))


def test_java_home_wins_over_path_even_where_it_is_wrong(tmp_path):
    java_home(tmp_path / "jdk", "17")
    problem = java_problem({"JAVA_HOME": "/nowhere", "PATH": f"{tmp_path}/jdk/bin"})
    assert problem is not None
    assert problem[0] == "expected Java 17 or 21, JAVA_HOME=/nowhere has no bin/java"
    assert java_problem({"PATH": f"{tmp_path}/jdk/bin"}) is None
    no_java = java_problem({"PATH": str(tmp_path)})
    assert no_java is not None
    assert no_java[0] == "expected Java 17 or 21, no java on PATH"


def test_java_version_asks_the_program_where_no_release_file_is(tmp_path):
    home = java_home(tmp_path / "jdk", "17")
    (home / "release").unlink()
    (home / "bin" / "java").write_text("#!/bin/sh\necho 'openjdk version \"21.0.1\" 2023-10-17' >&2\n")
    assert java_problem({"JAVA_HOME": str(home)}) is None


def test_check_packages_compares_with_the_pins_that_apply_here(tmp_path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(
        f"duckdb=={doctor.version('duckdb')} \\\n    --hash=sha256:{'0' * 64}\n"
        "numpy==0.1 ; python_full_version < '3'\n"  # not for this Python, so not compared
    )
    assert doctor.check_packages(requirements) == Finding("packages", "ok", "as in requirements.txt")
    requirements.write_text("duckdb==0.0.1\nno-such-package==1.0\n")
    found = doctor.check_packages(requirements)
    assert found.state == "missing"
    assert found.message == (
        f"duckdb {doctor.version('duckdb')} instead of 0.0.1, no-such-package missing instead of 1.0"
    )


def test_check_jars_names_what_is_not_there(tmp_path):
    found = doctor.check_jars(tmp_path)
    assert found.state == "missing"
    assert "sqlite-jdbc-" in found.message
    assert found.fix == f"rm -rf {tmp_path} && {doctor.SETUP}"


def test_check_memory_warns_and_says_what_would_fit(tmp_path):
    assert doctor.check_memory(settings_in(tmp_path, driver_memory="1m")).state == "ok"
    found = doctor.check_memory(settings_in(tmp_path, driver_memory="9000g"))
    assert found.state == "warning"
    assert found.message.endswith("11250.0 GiB wanted for a driver of 9000g")
    assert found.fix.startswith("export LAKEHOUSE_DRIVER_MEMORY=")


def test_check_disk_wants_room_in_a_folder_that_can_be_written(tmp_path, monkeypatch):
    home = tmp_path / "not" / "yet"
    assert doctor.check_disk(settings_in(home)).state == "ok"
    assert not home.exists()
    monkeypatch.setattr(doctor, "DISK_WANTED", 10**18)
    assert doctor.check_disk(settings_in(home)).state == "warning"
    missing = doctor.check_disk(settings_in(Path("/proc/nowhere")))
    assert (missing.state, missing.fix) == ("missing", "export LAKEHOUSE_HOME=/path/with/room")


def test_check_catalog_tells_a_database_from_another_file_and_a_held_lock(tmp_path, monkeypatch):
    settings = settings_in(tmp_path)
    assert doctor.check_catalog(settings).message == f"{tmp_path}/catalog.db is not there yet; the first run makes it"
    with contextlib.closing(sqlite3.connect(settings.catalog_file)) as database:
        database.execute("CREATE TABLE t (a)")
        assert doctor.check_catalog(settings).state == "ok"
        monkeypatch.setattr(doctor, "CONNECT_TIMEOUT_S", 0.05)
        database.execute("BEGIN EXCLUSIVE")
        assert doctor.check_catalog(settings).message.endswith("cannot be opened for writing: database is locked")
    settings.catalog_file.write_bytes(b"no database" * 100)
    assert doctor.check_catalog(settings).state == "missing"


def test_check_catalog_server_tells_an_open_port_from_a_closed_one():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert doctor.check_catalog_server("127.0.0.1", port).state == "ok"
    assert doctor.check_catalog_server("127.0.0.1", port).state == "missing"


class Store(http.server.BaseHTTPRequestHandler):
    """Answers an unsigned HEAD as an S3 store does."""

    def do_HEAD(self):
        self.send_response(404 if self.path == "/absent" else 403)
        self.send_header("x-amz-bucket-region", "eu-central-1")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def store():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_check_store_tells_region_bucket_and_silence_apart(tmp_path, store):
    def check(endpoint: str = store, bucket: str = "lake", region: str = "eu-central-1") -> Finding:
        return doctor.check_store(
            settings_in(tmp_path, warehouse=f"s3://{bucket}/warehouse", s3_endpoint=endpoint, s3_region=region)
        )

    assert check() == Finding("store", "ok", f"{store} answers for bucket lake")
    assert check(region="us-east-1") == Finding(
        "store",
        "missing",
        "bucket lake is in eu-central-1, the settings say us-east-1",
        "export LAKEHOUSE_S3_REGION=eu-central-1",
    )
    assert check(bucket="absent").message == f"{store} has no bucket absent"
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert (
        check(endpoint=f"http://127.0.0.1:{port}").message
        == f"http://127.0.0.1:{port} does not answer: ConnectionError"
    )


def test_examine_looks_no_further_into_a_home_that_is_closed_to_this_account(tmp_path, monkeypatch):
    def closed(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor, "check_disk", lambda _: Finding("disk", "missing", "cannot be written", "export ..."))
    monkeypatch.setattr(doctor, "check_catalog", closed)
    findings = {finding.check: finding for finding in doctor.examine({**os.environ, "LAKEHOUSE_HOME": str(tmp_path)})}
    assert findings["disk"].state == "missing"
    assert {"network", "Java", "jars"} <= set(findings)


def test_examine_names_a_wrong_setting_and_goes_on_with_the_rest():
    findings = {finding.check: finding for finding in doctor.examine({**os.environ, "LAKEHOUSE_HOMME": "/x"})}
    assert findings["settings"] == Finding(
        "settings",
        "missing",
        "LAKEHOUSE_HOMME is not a setting; did you mean LAKEHOUSE_HOME?",
        "unset LAKEHOUSE_HOMME",
    )
    assert {"Python", "packages", "Java", "jars", "clock"} <= set(findings)


def test_quick_check_finds_missing_java_before_a_job_does(tmp_path):
    findings = doctor.quick_check(settings_in(tmp_path), {"JAVA_HOME": "/nowhere"})
    assert findings[0].message == "expected Java 17 or 21, JAVA_HOME=/nowhere has no bin/java"
