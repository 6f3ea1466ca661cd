import pickle

import pytest

from ml.model_files import TamperedError, read_index, tree_sha256, write_index


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "h1.txt").write_text("trees")
    write_index(tmp_path, {"model_type": "lightgbm"})
    return tmp_path


def test_index_comes_back_with_the_sha256_of_its_files(folder):
    index = read_index(folder)
    assert index["model_type"] == "lightgbm"
    assert list(index["files"]) == ["h1.txt"]


def test_changed_added_and_missing_files_are_refused(folder):
    (folder / "h1.txt").write_text("tree5")
    with pytest.raises(TamperedError, match=r"h1\.txt has sha256 [0-9a-f]{64}, expected [0-9a-f]{64}$"):
        read_index(folder)
    (folder / "h1.txt").write_text("trees")
    (folder / "extra.txt").write_text("")
    with pytest.raises(TamperedError, match=r"holds \['extra\.txt', 'h1\.txt'\], expected \['h1\.txt'\]$"):
        read_index(folder)
    (folder / "extra.txt").unlink()
    (folder / "h1.txt").unlink()
    with pytest.raises(TamperedError, match=r"holds \[\], expected \['h1\.txt'\]$"):
        read_index(folder)


def test_pickle_is_refused_though_it_is_listed(folder):
    (folder / "model.pkl").write_bytes(pickle.dumps({"a": 1}))
    write_index(folder, {})
    words = r"^model\.pkl: expected \.txt or \.json or \.safetensors; other formats are not loaded$"
    with pytest.raises(TamperedError, match=words):
        read_index(folder)


def test_folder_without_a_readable_index_is_refused(tmp_path):
    with pytest.raises(TamperedError, match=r"model\.json can't be read \(FileNotFoundError\)"):
        read_index(tmp_path)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(TamperedError, match=r"model\.json can't be read \(KeyError\)"):
        read_index(tmp_path)


def test_tree_sha256_tells_names_and_contents(folder):
    before = tree_sha256(folder)
    assert tree_sha256(folder) == before
    (folder / "h1.txt").rename(folder / "h2.txt")
    renamed = tree_sha256(folder)
    (folder / "h2.txt").write_text("tree5")
    assert len({before, renamed, tree_sha256(folder)}) == 3
