"""What as many trials again would likely bring."""

import math
from collections.abc import Sequence

import pytest

from builders import make_objectives
from tuning_study.results.candidates import Candidate
from tuning_study.results.outlook import SHARES, outlook

[LOSS] = make_objectives("Minimize")
[SCORE] = make_objectives("Maximize")


def trials(first: Sequence[float], last: Sequence[float], feasible: bool = True) -> list[Candidate]:
    """Twenty: the values of each half, padded with bad ones."""
    values = [*first, *[9.0] * (10 - len(first)), *last, *[9.0] * (10 - len(last))]
    return [Candidate(number, (value,), feasible) for number, value in enumerate(values)]


def test_it_is_a_share_of_what_the_last_half_brought() -> None:
    found = outlook(LOSS, trials([5.0], [3.0]), "GP")
    assert found is not None
    assert (found.trials, found.before, found.best) == (20, 5.0, 3.0)
    assert (found.likely, found.most) == pytest.approx((2 * SHARES["GP"].mean, 2 * SHARES["GP"].most))


def test_a_last_half_that_brought_nothing_promises_nothing() -> None:
    found = outlook(LOSS, trials([3.0], [5.0]), "TPE")
    assert found is not None
    assert (found.before, found.best, found.likely, found.most) == (3.0, 3.0, 0.0, 0.0)


def test_a_larger_value_may_be_the_better_one() -> None:
    found = outlook(SCORE, [Candidate(number, (float(number),)) for number in range(20)], "Random")
    assert found is not None
    assert (found.before, found.best) == (9.0, 19.0)


@pytest.mark.parametrize(
    ("found", "sampler"),
    [
        (trials([5.0], [3.0])[:19], "GP"),
        (trials([5.0], [3.0]), "CmaEs"),
        (trials([5.0], [3.0], feasible=False), "GP"),
        (trials([5.0], [-math.inf]), "GP"),
    ],
    ids=["too few", "not measured", "nothing feasible", "infinite"],
)
def test_where_it_cannot_be_said_it_is_not(found: list[Candidate], sampler: str) -> None:
    assert outlook(LOSS, found, sampler) is None
