"""Old logs are removed, young ones stay."""

from __future__ import annotations

import os
import time

from lakehouse.services.retention import remove_old_logs, set_large_logs_aside


def test_remove_old_logs_keeps_what_was_written_lately_and_folders_that_hold_it(tmp_path):
    ages = {"tasks/old_dag/run/1.log": 40, "tasks/dag/run/1.log": 40, "tasks/dag/run/2.log": 1, "scheduler.log": 0}
    for name, days in ages.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("line\n")
        os.utime(path, (time.time() - days * 86_400,) * 2)
    assert remove_old_logs(tmp_path, 30) == 2
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["scheduler.log", "tasks/dag/run/2.log"]
    assert [path.name for path in (tmp_path / "tasks").iterdir()] == ["dag"]


def test_set_large_logs_aside_begins_a_log_anew_that_a_service_goes_on_with(tmp_path):
    (tmp_path / "mlflow.log").write_text("small\n")
    with (tmp_path / "scheduler.log").open("ab", buffering=0) as service:  # as lakehouse/services/processes.py opens it
        service.write(b"many lines\n" * 10)
        assert set_large_logs_aside(tmp_path, large=50) == 1
        service.write(b"one more\n")
    (aside,) = tmp_path.glob("scheduler.2*.log")
    assert aside.read_text() == "many lines\n" * 10
    assert (tmp_path / "scheduler.log").read_text() == "one more\n"
    assert set_large_logs_aside(tmp_path, large=50) == 0
    assert (tmp_path / "mlflow.log").read_text() == "small\n"
