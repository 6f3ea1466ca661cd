from concurrent.futures import ThreadPoolExecutor

import pytest
from pyiceberg.table.update.snapshot import ManageSnapshots

from lakehouse.config.settings import read_settings
from lakehouse.errors import BadInputError, UnavailableError
from lakehouse.lake.catalog import load
from lakehouse.tables.energy import GOLD_LOAD_HOURLY
from ml.pins import DAY_MS, PAUSES_S, model_tags, pin, release, tag_name

TAG = tag_name("m1", "0" * 32)


@pytest.fixture
def lake(tmp_path, hours):
    settings = read_settings({"LAKEHOUSE_HOME": str(tmp_path / "home")})
    return settings, hours.publish(settings, hours.generated(10))


def state(settings):
    return {
        name: (each.snapshot_id, each.max_ref_age_ms) for name, each in model_tags(settings, GOLD_LOAD_HOURLY).items()
    }


def test_pin_is_set_made_lasting_and_released_each_twice(lake):
    settings, snapshot_id = lake
    for age in (7, 7, None, None):
        pin(settings, GOLD_LOAD_HOURLY, snapshot_id, TAG, age)
        assert state(settings) == {TAG: (snapshot_id, age and age * DAY_MS)}
    for _ in range(2):
        release(settings, GOLD_LOAD_HOURLY, TAG)
        assert state(settings) == {}


def test_pins_of_several_programs_at_once_and_a_publish_between_them_are_all_there(lake, hours):
    settings, snapshot_id = lake
    tags = [tag_name("m1", f"{number:032x}") for number in range(5)]
    with ThreadPoolExecutor(6) as pool:
        published = pool.submit(hours.publish, settings, hours.generated(12))
        list(pool.map(lambda tag: pin(settings, GOLD_LOAD_HOURLY, snapshot_id, tag, 7), tags))
    assert state(settings) == dict.fromkeys(tags, (snapshot_id, 7 * DAY_MS))
    assert load(settings, GOLD_LOAD_HOURLY).current_snapshot().snapshot_id == published.result()


def test_pin_whose_answer_was_lost_is_there_once(lake, monkeypatch):
    settings, snapshot_id = lake
    commit, calls = ManageSnapshots.commit, []

    def lose_answer(change):
        calls.append(1)
        commit(change)
        raise OSError("connection reset")

    monkeypatch.setattr(ManageSnapshots, "commit", lose_answer)
    pin(settings, GOLD_LOAD_HOURLY, snapshot_id, TAG, 7)
    assert len(calls) == 1
    assert state(settings) == {TAG: (snapshot_id, 7 * DAY_MS)}


def test_pin_that_the_catalog_never_takes_is_unavailable(lake, monkeypatch):
    settings, snapshot_id = lake
    commits, pauses = [], []

    def fail(_):
        commits.append(1)
        raise OSError("no route")

    monkeypatch.setattr(ManageSnapshots, "commit", fail)
    monkeypatch.setattr("time.sleep", pauses.append)
    with pytest.raises(UnavailableError, match=r"^the tags of gold\.load_hourly could not be changed \(no route\)"):
        pin(settings, GOLD_LOAD_HOURLY, snapshot_id, TAG, 7)
    assert (len(commits), pauses) == (6, [*PAUSES_S])


def test_pin_whose_commit_is_not_there_is_made_again_without_a_pause(lake, monkeypatch):
    settings, snapshot_id = lake
    commit, commits, pauses = ManageSnapshots.commit, [], []

    def lose_the_first(change):
        commits.append(1)
        if len(commits) > 1:
            commit(change)

    monkeypatch.setattr(ManageSnapshots, "commit", lose_the_first)
    monkeypatch.setattr("time.sleep", pauses.append)
    pin(settings, GOLD_LOAD_HOURLY, snapshot_id, TAG, 7)
    assert state(settings) == {TAG: (snapshot_id, 7 * DAY_MS)}
    assert (len(commits), sum(pauses)) == (2, 0)


def test_pin_never_moves(lake, hours):
    settings, snapshot_id = lake
    pin(settings, GOLD_LOAD_HOURLY, snapshot_id, TAG, 7)
    other = hours.publish(settings, hours.generated(12))
    with pytest.raises(BadInputError, match=f"is at snapshot {snapshot_id}, expected {other}$"):
        pin(settings, GOLD_LOAD_HOURLY, other, TAG, 7)


def test_pin_of_a_snapshot_that_is_gone_says_so(lake):
    settings, _ = lake
    with pytest.raises(BadInputError, match=r"^gold\.load_hourly has no snapshot 1 any more"):
        pin(settings, GOLD_LOAD_HOURLY, 1, TAG, 7)


@pytest.mark.parametrize(("model", "run"), [("m1", "xyz"), ("M", "0" * 32), ("a'; drop", "0" * 32)])
def test_tag_names_follow_their_grammar(model, run):
    with pytest.raises(BadInputError, match=r"^expected a tag like model_<model>_<32 hex digits>"):
        tag_name(model, run)
