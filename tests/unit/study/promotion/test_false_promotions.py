"""How often parameters that are no better pass the gate Better by luck: simulated, and within what is asked."""

import math

import numpy as np
import pytest

from builders import make_objectives
from tuning_study.api.promotion import Gates
from tuning_study.api.status import Best
from tuning_study.promotion.gates import Candidate, better
from tuning_study.results.outcome import compare
from tuning_study.results.verified import Measured, Verified

STUDIES, REPEATS, FOLDS = 2000, 10, 5
OVERLAP = 1 / (FOLDS - 1)
ACCURACY = make_objectives("Maximize")
BEST = Best(trial=1, metrics=[], parameters=[], verified=True)


def passes(runs: list[list[float]], gates: Gates) -> bool:
    """Whether the best of the candidates passes, the first of which is in production."""
    found = [
        Measured(trial, {place: (value,) for place, value in enumerate(values)}, {}, 1.0, 0, len(values))
        for trial, values in enumerate(runs)
    ]
    best = int(np.argmax([np.mean(values) for values in runs]))
    compared = compare(ACCURACY, Verified(found, OVERLAP, best, (), incumbent=0))
    return better(Candidate("new", BEST, compared), gates, "stable").verdict == "Passed"


def rate(candidates: int, improvement: float, gates: Gates) -> float:
    """Runs share rows, so that what a run has of its training data is common to all repeats: the correlation that
    Nadeau and Bengio correct for, between the differences of two runs, is 1 / folds."""
    chance = np.random.default_rng(11)
    common = math.sqrt(1 / FOLDS)
    passed = 0
    for _ in range(STUDIES):
        shared = chance.normal(size=(candidates, 1)) * common
        own = chance.normal(size=(candidates, REPEATS)) * math.sqrt(1 - common**2)
        runs = 0.9 + 0.01 * (shared + own)
        runs[1:] += improvement
        passed += passes(runs.tolist(), gates)
    return passed / STUDIES


@pytest.mark.parametrize("candidates", [2, 6])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_equal_parameters_pass_no_more_often_than_is_asked(candidates: int, confidence: float) -> None:
    assert rate(candidates, 0.0, Gates(confidence=confidence)) <= 1 - confidence


def test_parameters_that_are_better_by_less_than_is_asked_pass_no_more_often() -> None:
    assert rate(2, 0.005, Gates(min_improvement=0.005)) <= 0.05


def test_parameters_that_are_clearly_better_pass() -> None:
    assert rate(2, 0.05, Gates()) > 0.9
