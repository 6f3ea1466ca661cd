"""docker-compose.yaml, read: every service is held to the list of what a service has to be. No engine runs it here."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

import pytest
import typer
import yaml

from lakehouse.cli import setup_app
from lakehouse.commands.setup import compose_files
from lakehouse.errors import BadInputError
from lakehouse.services import compose, s3

ROOT = Path(__file__).parents[1]
ONE_SHOT = {"prepare", "airflow-prepare"}
OWN_IMAGE = "lakehouse-tick:"


@pytest.fixture(scope="module")
def document():
    return yaml.safe_load((ROOT / "docker-compose.yaml").read_text())


def services():
    return sorted(yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"])


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


@pytest.mark.parametrize("name", services())
def test_service_is_hardened(document, name):
    service = document["services"][name]
    assert service["user"].startswith("${LAKEHOUSE_UID:?")  # never root: compose refuses to start without it
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & set(service)
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["pids_limit"] > 0


@pytest.mark.parametrize("name", services())
def test_service_has_a_pinned_image(document, name):
    image, _, tag = document["services"][name]["image"].partition(":")
    assert re.search(r"\d+\.\d+|\d{3}", tag), f"{image}:{tag}"
    assert "latest" not in tag


@pytest.mark.parametrize("name", services())
def test_service_is_asked_how_it_is(document, name):
    check = document["services"][name]["healthcheck"]
    if name in ONE_SHOT:
        assert check == {"disable": True}
        assert document["services"][name]["restart"] == "no"
        return
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert seconds(check["timeout"]) <= seconds(check["interval"]) or seconds(check["timeout"]) <= 10
    assert document["services"][name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", services())
def test_service_opens_ports_on_loopback_alone(document, name):
    assert all(port.startswith("127.0.0.1:") for port in document["services"][name].get("ports", []))


@pytest.mark.parametrize("name", services())
def test_service_is_given_secrets_as_files_alone(document, name):
    service = document["services"][name]
    for variable, value in service.get("environment", {}).items():
        is_secret = re.search(r"PASSWORD|SECRET|KEY|TOKEN", variable)
        assert not is_secret or str(value).startswith("/run/secrets/"), variable
    declared = {each if isinstance(each, str) else each["source"] for each in service.get("secrets", [])}
    assert declared <= set(document["secrets"])
    mounts = [volume for volume in service.get("volumes", []) if ".compose/secrets" in volume]
    assert (mounts == []) == (name != "prepare")  # which makes roles and buckets, so it needs them all


@pytest.mark.parametrize("name", services())
def test_service_mounts_folders_that_are_made_and_configuration_that_is_there(document, name):
    made = {f"./.compose/{folder}" for folder in (*compose.STATE, "secrets", "stack/trino")}
    for volume in document["services"][name].get("volumes", []):
        source, _, target = volume.partition(":")
        assert source in made or ((ROOT / source).exists() and target.endswith(":ro")), volume


def test_networks_are_split(document):
    members = {}
    for name, service in document["services"].items():
        for network in service["networks"]:
            members.setdefault(network, set()).add(name)
    assert members["files"] == {"seaweedfs", "s3"}  # the files' own server knows no keys
    assert document["networks"]["files"] == {"internal": True}
    assert "mlflow" not in members["spark"] | members["airflow"]
    assert document["services"]["seaweedfs"]["networks"] == ["files"]
    assert "ports" not in document["services"]["postgres"]
    assert members["queries"] == {"trino"}
    assert set(members) == set(document["networks"])


def test_store_says_nothing_to_its_makers_and_has_an_identity_per_role(document):
    assert "-master.telemetry=false" in document["services"]["seaweedfs"]["command"]
    assert set(compose.ACTIONS) == {"root", *s3.IDENTITIES}
    for bucket, grants in s3.GRANTS.items():
        for role in s3.IDENTITIES:
            may_write = f"Write:{bucket}" in compose.ACTIONS[role]
            may_read = f"Read:{bucket}" in compose.ACTIONS[role]
            assert may_write == (grants.get(role) == s3.WRITE)
            assert may_read == (role in grants)


def test_write_files_generates_every_declared_secret_once_and_private(document, tmp_path):
    folder = tmp_path / ".compose"
    compose.write_files(folder, 1000, 1001)
    first = {path.name: path.read_text() for path in (folder / "secrets").iterdir()}
    compose.write_files(folder, 1000, 1001)
    assert {path.name: path.read_text() for path in (folder / "secrets").iterdir()} == first
    declared = {Path(secret["file"]).name for secret in document["secrets"].values()}
    assert declared <= set(first)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder / "secrets").iterdir()} == {0o600}
    identities = json.loads(first["s3_identities"])["identities"]
    assert [each["name"] for each in identities] == list(compose.ACTIONS)
    assert (tmp_path / ".env").read_text() == "LAKEHOUSE_UID=1000\nLAKEHOUSE_GID=1001\n"


def test_root_starts_no_containers(monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 0)
    with pytest.raises(BadInputError, match="not as root"):
        compose_files()


@pytest.mark.parametrize("name", services())
def test_a_command_of_our_own_image_is_one_that_lakehouse_has(document, name):
    command = document["services"][name].get("command", [])
    if command[:2] == ["lakehouse", "setup"]:
        assert command[2] in typer.main.get_command(setup_app).commands
    else:
        assert "-m" not in command, "a module is run by a command of lakehouse"


def test_files_that_the_image_is_built_from_are_there():
    text = (ROOT / "docker" / "Dockerfile").read_text()
    assert re.search(r"^FROM python:3\.11\.\d+-", text, re.MULTILINE)
    assert re.search(r"^USER 10001", text, re.MULTILINE)
    script = ROOT / "docker" / "with-secrets.sh"
    assert os.access(script, os.X_OK)
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".compose", "lakehouse-home", ".git"} <= set(ignored)


def test_every_service_of_our_own_image_is_built_here(document):
    built = [name for name, service in document["services"].items() if "build" in service]
    own = [name for name, service in document["services"].items() if service["image"].startswith(OWN_IMAGE)]
    assert built == ["prepare"]
    assert len(own) >= 8
