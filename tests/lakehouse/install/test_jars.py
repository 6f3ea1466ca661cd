import hashlib

import pytest

from lakehouse.errors import BadInputError, UnavailableError
from lakehouse.install import jars
from lakehouse.install.jars import Jar, faulty_jars, fetch, read_jar_list

GROUP = "org.example"
LAYOUT = "[organisation]/[module]/[revision]/[artifact]-[revision](-[classifier]).[ext]"


def jar_of(content: bytes, artifact: str = "thing") -> Jar:
    return Jar(GROUP, artifact, "1.0", hashlib.sha256(content).hexdigest())


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of jars in a folder, named to Ivy as a user names theirs; a cache of its own."""
    settings = tmp_path / "ivysettings.xml"
    settings.write_text(
        f"""<ivysettings><caches defaultCacheDir="{tmp_path}/cache"/><settings defaultResolver="folder"/>
        <resolvers><filesystem name="folder" m2compatible="true">
        <artifact pattern="{tmp_path}/repository/{LAYOUT}"/>
        </filesystem></resolvers></ivysettings>"""
    )
    monkeypatch.setenv("IVY_SETTINGS", str(settings))
    return tmp_path / "repository"


def publish(repository, jar: Jar, content: bytes) -> None:
    folder = repository / GROUP.replace(".", "/") / jar.artifact / jar.version
    folder.mkdir(parents=True)
    (folder / jar.file_name).write_bytes(content)


def test_read_jar_list_skips_comments_and_names_a_bad_line(tmp_path):
    listed = tmp_path / "jars.txt"
    listed.write_text(f"# jars\n\n{'0' * 64}  org.example:thing_2.13:1.0  # why\n")
    assert read_jar_list(listed) == (Jar("org.example", "thing_2.13", "1.0", "0" * 64),)
    listed.write_text("\n123  org.example:thing:1.0\n")
    with pytest.raises(BadInputError) as caught:
        read_jar_list(listed)
    expected = "jars.txt:2: expected 'sha256  group:artifact:version', found '123  org.example:thing:1.0'"
    assert str(caught.value) == expected


def test_read_jar_list_knows_several_files_of_one_project(tmp_path):
    listed = tmp_path / "jars.txt"
    listed.write_text(f"{'0' * 64}  org.example:thing:1.0:jar:tests\n{'1' * 64}  org.example:thing:1.0:tar.gz\n")
    assert [jar.file_name for jar in read_jar_list(listed)] == ["thing-1.0-tests.jar", "thing-1.0.tar.gz"]


def test_fetch_brings_a_file_with_a_classifier_beside_the_one_without(tmp_path, repository):
    plain = jar_of(b"classes")
    tests = Jar(GROUP, "thing", "1.0", hashlib.sha256(b"tests").hexdigest(), classifier="tests")
    publish(repository, plain, b"classes")
    (repository / GROUP.replace(".", "/") / "thing" / "1.0" / tests.file_name).write_bytes(b"tests")
    assert fetch((plain, tests), tmp_path / "jars") == (plain, tests)
    assert (tmp_path / "jars" / "thing-1.0.jar").read_bytes() == b"classes"
    assert (tmp_path / "jars" / "thing-1.0-tests.jar").read_bytes() == b"tests"


def test_fetch_brings_what_is_missing_or_damaged_and_leaves_what_is_right(tmp_path, repository):
    right, damaged, missing = jar_of(b"right", "right"), jar_of(b"whole", "damaged"), jar_of(b"new", "missing")
    folder = tmp_path / "jars"
    folder.mkdir()
    (folder / right.file_name).write_bytes(b"right")  # in no repository: asking for it would fail
    (folder / damaged.file_name).write_bytes(b"who")
    publish(repository, damaged, b"whole")
    publish(repository, missing, b"new")
    assert fetch((right, damaged, missing), folder) == (damaged, missing)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "right-1.0.jar": b"right",
        "damaged-1.0.jar": b"whole",
        "missing-1.0.jar": b"new",
    }
    assert fetch((right, damaged, missing), folder) == ()


def test_fetch_keeps_nothing_with_another_sha256(tmp_path, repository):
    jar = jar_of(b"as listed")
    publish(repository, jar, b"something else")
    with pytest.raises(BadInputError) as caught:
        fetch((jar,), tmp_path / "jars")
    found = hashlib.sha256(b"something else").hexdigest()
    assert str(caught.value).startswith(f"thing-1.0.jar: expected sha256 {jar.sha256}, got {found}; not kept.")
    assert list((tmp_path / "jars").iterdir()) == []


def test_fetch_says_which_jar_a_repository_does_not_have(tmp_path, repository):
    with pytest.raises(UnavailableError) as caught:
        fetch((jar_of(b"nowhere"),), tmp_path / "jars")
    assert str(caught.value) == "Ivy could not get thing-1.0.jar: module not found: org.example#thing;1.0"


def test_fetch_says_that_the_repository_is_out_of_reach(tmp_path, monkeypatch):
    monkeypatch.setenv("IVY_SETTINGS", str(tmp_path / "none.xml"))
    nowhere = "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9"  # the discard port: connection refused
    monkeypatch.setenv("IVY_OPTS", f"{nowhere} -Divy.default.ivy.user.dir={tmp_path}/ivy")
    with pytest.raises(UnavailableError, match=r"thing-1\.0\.jar: Server access error at url .*Connection refused"):
        fetch((jar_of(b"any"),), tmp_path / "jars")


def test_faulty_jars_names_the_ones_that_differ(tmp_path):
    jar = jar_of(b"as listed")
    assert faulty_jars((jar,), tmp_path) == (jar,)
    (tmp_path / jar.file_name).write_bytes(b"as listed")
    assert faulty_jars((jar,), tmp_path) == ()
    (tmp_path / jar.file_name).write_bytes(b"as listeD")
    assert faulty_jars((jar,), tmp_path) == (jar,)


def test_jar_list_of_this_project_is_readable():
    assert {jar.artifact for jar in read_jar_list(jars.JAR_LIST)} >= {"iceberg-spark-runtime-4.1_2.13", "sqlite-jdbc"}
