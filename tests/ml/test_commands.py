import sys
from importlib.metadata import entry_points

import pytest

from lakehouse import cli
from lakehouse.config.settings import settings
from ml.config import config_files

MODEL = "household_power_lgbm"


@pytest.fixture
def lakehouse(training, monkeypatch, capsys):
    """Run a command line in this process; return exit code, stdout and stderr."""
    monkeypatch.setenv("LAKEHOUSE_HOME", str(training.settings.home))
    settings.cache_clear()

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["lakehouse", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    yield call
    settings.cache_clear()


def test_every_plugged_command_has_help_with_an_example(lakehouse):
    names = sorted(entry.name for entry in entry_points(group="lakehouse.commands") if entry.module == "ml.commands")
    assert names == ["backtest", "models", "predict", "promote", "reproduce", "rollback", "train"]
    for name in names:
        code, out, _ = lakehouse(name, "--help")
        assert code == 0
        assert f"Example: lakehouse {name}" in out


def test_models_lists_versions_aliases_and_verdicts(lakehouse, training):
    names = sorted(config_files())
    none_yet = [line for name in names for line in (name, f"  no version yet: lakehouse train {name}")]
    assert lakehouse("models") == (0, "\n".join([*none_yet, ""]), "")
    run = training.train()
    code, out, err = lakehouse("models", "--reconcile")
    assert (code, err) == (0, "  every tag has its version or run\n")
    line = out.splitlines()[2 * names.index(MODEL) + 1]
    assert line.startswith(f"  1  challenger, champion  run {run.run_id}  passed: rmse_kw_h1 0.")
    code, out, _ = lakehouse("reproduce", MODEL, "1")
    assert (code, out.splitlines()[-1]) == (0, "reproduced: no difference")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "x"], "no model 'x'; there are "),
        (
            ["train", MODEL, "--set", "rounds=0"],
            "--set rounds=0: hyperparameters.lightgbm.rounds: input should be greater",
        ),
        (["train", MODEL, "--as-of", "never"], "gold.load_hourly has no tag or branch 'never'"),
        (["promote", MODEL, "9", "--reason", "why"], f"{MODEL} has no version 9; there are "),
        (["rollback", MODEL], f"{MODEL} had no champion before"),
        (["predict", f"{MODEL}@nobody", "--from", "2007-01-01", "--to", "2007-01-02"], f"{MODEL} has no nobody; "),
        (["predict", MODEL, "--from", "1.1.2007", "--to", "2007-01-02"], "expected a day like 2024-08-08"),
        (["reproduce", MODEL, "9"], f"{MODEL} has no version 9; there are "),
    ],
)
def test_failure_is_one_line_and_exit_code_2(lakehouse, arguments, message):
    code, out, err = lakehouse(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("state", ["folder that cannot be made", "file that is no database"])
def test_store_that_is_away_is_one_line_and_exit_code_75(lakehouse, tmp_path, monkeypatch, state):
    path = tmp_path / "mlflow.db"
    if state == "file that is no database":
        path.write_text("this is no database " * 100)
    else:
        (tmp_path / "file").touch()
        path = tmp_path / "file" / "mlflow.db"
    monkeypatch.setenv("LAKEHOUSE_MLFLOW_TRACKING", f"sqlite:///{path}")
    settings.cache_clear()
    code, out, err = lakehouse("models")
    assert (code, out) == (75, "")
    assert err.startswith("error: MLflow's store: ")
    assert err.count("\n") == 1
