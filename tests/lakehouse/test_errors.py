from __future__ import annotations

import pytest

from lakehouse.errors import RANKING, ExitCode, worst_code


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        pytest.param((), 0, id="no run"),
        pytest.param((0, 5, 0), 5, id="a notice is more than success"),
        pytest.param((5, 2, 0), 2, id="a failure is more than a notice"),
        pytest.param((3, 75, 2), 75, id="what a rerun may repair is tried again"),
        pytest.param((4, 1, 75), 1, id="a crash is worst"),
    ],
)
def test_worst_code_stands_for_several_runs(codes, expected):
    assert worst_code(codes) == expected


def test_every_exit_code_has_its_rank():
    assert sorted(RANKING) == sorted(ExitCode)
