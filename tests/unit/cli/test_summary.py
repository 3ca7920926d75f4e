from dataclasses import replace

import pytest
from optuna.trial import TrialState

from tuning_cli import history, summary
from tuning_cli.exceptions import WrongUse
from tuning_study.budget import Limits, Over
from unit.cli import histories

TWO = [{"name": "loss", "direction": "Minimize"}, {"name": "size", "direction": "Minimize"}]


def test_several_objectives() -> None:
    found = histories.history(
        TWO,
        [histories.trial(i, [float(i), 5.0 - i]) for i in range(5)]
        + [histories.trial(0, [9.0, 9.0]), histories.trial(1, None, TrialState.FAIL)],
        [("ValueError: no\nmore", 1)],
    )
    told = "\n".join(summary.lines(found))
    for want in (
        "complete, the goal is reached; 6 complete, 1 failed in 12s",
        "best: trial 0\n  loss  0\n  size  5\nparameters\n  x     0.001",
        "Pareto set: 5 trials that no other beats",
        "worker-0 ",
        "  1 × ValueError: no more",
    ):
        assert want in told, want


@pytest.mark.parametrize(
    ("over", "paused", "want"),
    [
        (None, False, "Running"),
        (None, True, "Suspended"),
        (Over.BUDGET_USED, True, "Complete"),
        (Over.REJECTED, False, "Failed"),
    ],
)
def test_state(over: Over | None, paused: bool, want: str) -> None:
    assert summary.state(over, paused) == want


def test_failure_says_why_and_what_to_do() -> None:
    found = histories.history(TWO, [], [("ValueError: no", 7)])
    stopped = replace(found, progress=replace(found.progress, limits=Limits(30, 7, stop=Over.REJECTED), detail="no m"))
    assert summary.failure(stopped) == "the study failed: the objective cannot run: no m"
    many = replace(found, progress=replace(found.progress, limits=Limits(30, 0, stop=Over.TOO_MANY_FAILURES)))
    assert "7 × ValueError: no" in summary.failure(many)
    assert "budget.failedTrials" in summary.failure(many)


def test_long_reasons_keep_their_end() -> None:
    told = summary.shortened("begin " + "x" * 1000 + " the cause")
    assert len(told) < 420
    assert told.startswith("begin")
    assert told.endswith("the cause")


def test_choose() -> None:
    one = {"a": histories.history(TWO, []).progress}
    assert history.choose(one, None) is one["a"]
    for studies, name, want in [
        ({}, None, "no study yet"),
        (one, "b", "no study b"),
        ({**one, "b": one["a"]}, None, "a, b"),
    ]:
        with pytest.raises(WrongUse, match=want):
            history.choose(studies, name)
