"""Which round a run goes on with, and when a new one begins."""

from datetime import datetime
from typing import Any

import pytest

from tuning_client.local.round_choice import Begin, EarlierRound, GoOn, choose_round
from tuning_study.api.spec import TuningStudySpec
from tuning_study.budget import Counts, StopReason
from tuning_study.round import resolve

SPEC: dict[str, Any] = {
    "metrics": [{"name": "loss", "direction": "Minimize"}],
    "parameters": [{"name": "x", "type": "Float", "min": 0, "max": 1}],
    "objective": {"command": {"command": ["python", "train.py"]}},
    "budget": {"trials": 10},
}
FILES = {"train.py": "a1"}
DONE, FAILED_ONLY = Counts(complete=6, failed=2), Counts(failed=3)


def spec(**change: Any) -> TuningStudySpec:
    return TuningStudySpec.model_validate(SPEC | change)


def earlier(
    number: int = 1,
    counts: Counts = DONE,
    files: dict[str, str] | None = FILES,
    day: int = 0,
    stop: StopReason | None = None,
    **change: Any,
) -> EarlierRound:
    resolved = resolve(spec(**change), namespace="local", name="s", uid="", number=number, versions={})
    return EarlierRound(resolved, files, counts, stop, datetime(2026, 1, day or number))


def choose(*rounds: EarlierRound, files: dict[str, str] = FILES, fresh: bool = False, **change: Any) -> GoOn | Begin:
    return choose_round(spec(**change), files, rounds, fresh=fresh)


def test_the_first_run_begins_round_1() -> None:
    assert choose() == Begin(number=1)


@pytest.mark.parametrize("change", [{}, {"budget": {"trials": 99, "duration": "1h"}}, {"workers": {"replicas": 9}}])
def test_the_same_study_goes_on_whatever_its_budget_and_workers(change: dict[str, Any]) -> None:
    assert choose(earlier(), **change) == GoOn(earlier())


def test_fresh_begins_a_round_without_a_warm_start() -> None:
    assert choose(earlier(), fresh=True) == Begin(
        2, None, "round 2 begins afresh, as asked; the 6 trials of round 1 are kept"
    )


SPACE = [{"name": "x", "type": "Float", "min": 0, "max": 5}]


@pytest.mark.parametrize(
    ("change", "files", "warm", "told"),
    [
        ({"parameters": SPACE}, FILES, True, "spec.parameters changed since round 1: round 2 begins, and starts with"),
        ({}, {"train.py": "b2"}, True, "train.py changed since round 1: round 2 begins, and starts with the best"),
        (
            {"seed": 7},
            FILES,
            False,
            "spec.seed changed since round 1: round 2 begins; the 6 trials of round 1 are kept",
        ),
        ({"strategy": {"sampler": {"type": "Random"}}}, FILES, False, "spec.strategy changed since round 1: round 2"),
        ({"metrics": [{"name": "loss", "direction": "Maximize"}]}, FILES, False, "spec.metrics changed"),
        ({"parameters": SPACE, "retune": {"warmStart": {"best": 0}}}, FILES, False, "spec.parameters changed"),
    ],
    ids=["space", "script", "seed", "strategy", "direction", "no warm start wanted"],
)
def test_a_change_begins_a_round_that_takes_over_what_still_means_something(
    change: dict[str, Any], files: dict[str, str], warm: bool, told: str
) -> None:
    choice = choose(earlier(), files=files, **change)
    assert isinstance(choice, Begin)
    assert (choice.number, choice.warm_from) == (2, earlier() if warm else None)
    assert told in choice.note


def test_the_failures_of_an_objective_that_was_corrected_are_forgiven() -> None:
    failed = earlier(counts=FAILED_ONLY)
    assert choose(failed, files={"train.py": "b2"}) == GoOn(
        failed, True, "train.py changed: the 3 failures of before no longer count"
    )


def test_a_round_that_failed_fast_is_tried_again() -> None:
    failed = earlier(counts=FAILED_ONLY, stop=StopReason.FAILED_FAST)
    assert choose(failed) == GoOn(failed, True, "the 3 failures of before no longer count")


def test_a_manifest_as_it_once_was_goes_on_with_its_round() -> None:
    first, second = earlier(1), earlier(2, parameters=SPACE)
    assert choose(first, second) == GoOn(
        first, note="manifest and objective are those of round 1 again: it goes on; round 2 is kept"
    )


def test_a_new_round_starts_from_the_one_that_was_active_last() -> None:
    first, second = earlier(1, day=5), earlier(2, parameters=SPACE, day=3)
    choice = choose(first, second, parameters=[{"name": "x", "type": "Float", "min": 0, "max": 9}])
    assert isinstance(choice, Begin)
    assert (choice.number, choice.warm_from) == (3, first)


def test_a_round_whose_files_nobody_noted_goes_on() -> None:
    assert choose(earlier(files=None)) == GoOn(earlier(files=None))


def test_many_changed_files_are_told_in_short() -> None:
    choice = choose(earlier(), files={f"{letter}.py": "1" for letter in "abcde"})
    assert choice.note.startswith("a.py, b.py, c.py and 3 more changed since round 1")
