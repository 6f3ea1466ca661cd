import stat

from lakehouse.config.private_files import write_private


def test_write_private_leaves_no_partial_file_and_replaces_whole(tmp_path):
    path = tmp_path / "new" / "file.json"
    write_private(path, "one")
    write_private(path, "two")
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["file.json"]
