import pytest

from lakehouse.errors import BadInputError
from ml.config import FOLDER, config_files, find_config, parse_config, read_config

MODEL = "household_power_lgbm"
TEXT = config_files()[MODEL].read_text(encoding="utf-8")


def line_of(text, key):
    """Number of the line that begins with a key."""
    return next(number for number, line in enumerate(text.splitlines(), start=1) if line.strip().startswith(key))


@pytest.fixture
def edited(tmp_path):
    """Read the real file with one text in place of another; return the line of a key and the error."""

    def read(old, new, key):
        assert TEXT.count(old) == 1, old
        path = tmp_path / f"{MODEL}.yaml"
        path.write_text(TEXT.replace(old, new), encoding="utf-8")
        with pytest.raises(BadInputError) as caught:
            read_config(path)
        return line_of(TEXT.replace(old, new), key), str(caught.value)

    return read


@pytest.mark.parametrize("name", config_files())
def test_every_configuration_is_right_and_comes_back_from_its_json(name):
    config = find_config(name)
    assert config.name == name
    assert parse_config(config.as_json(), "json") == config
    assert parse_config(config.as_json(), "json").sha256 == config.sha256


@pytest.mark.parametrize(
    ("old", "new", "key", "message"),
    [
        pytest.param(
            "seed: 1", "seed: one", "seed", "seed: input should be a valid integer, found 'one'", id="wrong type"
        ),
        pytest.param("seed: 1", "seed: '1'", "seed", "seed: input should be a valid integer, found '1'", id="text"),
        pytest.param(
            "seed: 1", "seed: true", "seed", "seed: input should be a valid integer, found True", id="truth value"
        ),
        pytest.param(
            "num_leaves: 15",
            "num_leaves: 15\n    leafs: 3",
            "leafs",
            "hyperparameters.lightgbm.leafs: unknown key",
            id="unknown",
        ),
        pytest.param(
            "interval: 0.8",
            "interval: 1.8",
            "interval",
            "interval: input should be less than 1, found 1.8",
            id="impossible",
        ),
        pytest.param("  folds: 5", "  folds: .nan", "folds", "split.folds: input should be a valid integer", id="nan"),
        pytest.param(
            "table: gold.load_hourly",
            "table: gold.loads",
            "table",
            "table: no gold table 'gold.loads' is declared",
            id="table",
        ),
        pytest.param(
            "  - same_hour_1d",
            "  - load_kw",
            "- load_kw",
            "features: load_kw of a row is measured after the row's hour began",
            id="future",
        ),
        pytest.param(
            "horizons: [1, 24]", "horizons: [24, 1]", "horizons", "horizons: expected ascending hours", id="order"
        ),
        pytest.param(
            "model_type: lightgbm",
            "model_type: svm",
            "model_type",
            "model_type: input should be 'lightgbm'",
            id="model type",
        ),
        pytest.param(
            'retrain: "0 3 1 * *"',
            "retrain: monthly",
            "retrain",
            "schedule.retrain: expected five fields of cron",
            id="cron",
        ),
        pytest.param(
            "rmse_kw_h1: {maximum: 0.65}",
            "rmse_kw_h1: {}",
            "rmse_kw_h1",
            "gate.thresholds.rmse_kw_h1: expected minimum, maximum or both",
            id="threshold",
        ),
        pytest.param(
            "domain: energy",
            "domain: ../energy",
            "domain",
            "domain: expected one of energy, finance, vision, found '../energy'",
            id="path",
        ),
        pytest.param(
            "code: power_lgbm", "code: power", "code", "code: expected one of power_lgbm, found 'power'", id="code"
        ),
        pytest.param(
            "code: power_lgbm", "code: [power]", "code", "code: expected one of power_lgbm, found", id="codes"
        ),
        pytest.param("seed: 1", "seed: 1\nseed: 2", "seed", "seed is given twice, first in line {line}", id="twice"),
        pytest.param(
            "owner: energy",
            "owner: !!python/name:os.system energy",
            "owner",
            "!!python/name:os.system",
            id="code in a tag",
        ),
    ],
)
def test_error_names_file_line_and_key(edited, old, new, key, message):
    line, error = edited(old, new, key)
    if "twice" in message:
        assert error == f"{MODEL}.yaml:{line + 1}: {message.format(line=line)}"
    elif key == "- load_kw":  # the list is judged as a whole
        assert error.startswith(f"{MODEL}.yaml:{line_of(TEXT, 'features')}: {message}")
    else:
        assert error.startswith(f"{MODEL}.yaml:{line}: {message}")
    assert "\n" not in error


def test_missing_key_names_what_holds_it(edited):
    _, error = edited("  significance: 0.05\n", "", "gate")
    assert error == f"{MODEL}.yaml:{line_of(TEXT, 'gate')}: gate.significance: missing"


def test_file_must_be_named_after_its_model(tmp_path):
    (tmp_path / "other.yaml").write_text(TEXT, encoding="utf-8")
    with pytest.raises(BadInputError, match=r"^other\.yaml:3: the file is named after its model: expected other$"):
        read_config(tmp_path / "other.yaml")


def test_override_changes_the_chosen_types_hyperparameter_or_any_other_value():
    config = find_config(MODEL, ["num_leaves=63", "data.minimum_rows=9", "horizons=[1]"])
    assert config.chosen_hyperparameters()["num_leaves"] == 63
    assert config.data.minimum_rows == 9
    assert config.horizons == (1,)
    assert find_config(MODEL, ["model_type=xgboost", "max_depth=3"]).chosen_hyperparameters()["max_depth"] == 3
    assert config.sha256 != find_config(MODEL).sha256


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "num_leaves=many",
            "--set num_leaves=many: hyperparameters.lightgbm.num_leaves: input should be a valid integer, found 'many'",
        ),
        ("leafs=3", "--set leafs=3: hyperparameters.lightgbm.leafs: unknown key"),
        ("num_leaves", "--set num_leaves: expected key=value, e.g. num_leaves=63"),
        ("name=other", "--set name=other: name says which model it is; make a configuration of its own"),
        *(
            (
                f"{key}={value}",
                f"--set {key}={value}: {key.split('.')[0]} says what a model has to pass; change it in {MODEL}.yaml",
            )
            for key, value in (
                ("gate", "{}"),
                ("gate.significance", "0.4"),
                ("gate.thresholds.rmse_kw_h1.maximum", "99"),
                ("is_approval_needed", "false"),
            )
        ),
        ("nothing.here=1", "--set nothing.here=1: the configuration has no nothing"),
        (
            "training_window={first: 2007-02-01, last_exclusive: 2007-01-01}",
            "--set training_window={first: 2007-02-01, last_exclusive: 2007-01-01}: "
            "training_window: [2007-02-01, 2007-01-01) holds no day",
        ),
    ],
)
def test_wrong_override_is_named(override, message):
    with pytest.raises(BadInputError) as caught:
        find_config(MODEL, [override])
    assert str(caught.value) == message


def test_unknown_model_lists_those_there_are():
    with pytest.raises(BadInputError, match=rf"^no model 'x'; there are .*{MODEL}"):
        find_config("x")


def test_configurations_lie_beside_their_code():
    assert all(
        (path.parent / "config.py").is_file() and path.parent.parent == FOLDER for path in config_files().values()
    )
