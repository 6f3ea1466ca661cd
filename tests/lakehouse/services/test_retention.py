"""Old logs are removed, young ones stay."""

from __future__ import annotations

import os
import time

from lakehouse.services.retention import remove_old_logs


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
