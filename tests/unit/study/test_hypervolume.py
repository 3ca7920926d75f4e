"""How much of what is possible a Pareto set covers."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_candidates, make_objectives
from tuning_study.results.candidates import Candidate
from tuning_study.results.hypervolume import hypervolume, hypervolume_history

TWO = make_objectives("Minimize", "Maximize")
FINITE = st.floats(-1e6, 1e6, allow_subnormal=False)


@pytest.mark.parametrize(
    ("values", "share"),
    [
        ([(0.0, 1.0), (1.0, 0.0)], 1.0),  # one trial is best in both
        ([(0.0, 0.0), (1.0, 1.0)], 0.0),  # each is worst in one
        ([(0.0, 0.0), (1.0, 1.0), (0.5, 0.5)], 0.25),
        ([(0.0, 0.0), (4.0, 8.0), (1.0, 4.0), (2.0, 6.0)], 0.75 * 0.5 + 0.5 * 0.25),
    ],
)
def test_it_is_the_share_of_the_box_of_all_trials_that_the_front_dominates(
    values: list[tuple[float, ...]], share: float
) -> None:
    assert hypervolume(TWO, make_candidates(*values)) == pytest.approx(share)


@pytest.mark.parametrize(
    "found",
    [
        [],
        make_candidates((0.0, 1.0)),
        make_candidates((0.0, 1.0), (0.0, 2.0)),
        [Candidate(0, (0.0, 1.0)), Candidate(1, (1.0, 0.0), feasible=False)],
        make_candidates((0.0, 1.0), (math.inf, 0.0)),
    ],
    ids=["none", "one", "an objective without a spread", "one feasible", "one finite"],
)
def test_without_a_box_there_is_no_share(found: Sequence[Candidate]) -> None:
    assert hypervolume(TWO, found) is None


@given(st.integers(2, 4).flatmap(lambda m: st.lists(st.tuples(*[FINITE] * m), min_size=2, max_size=50)))
def test_it_lies_between_0_and_1_and_grows_with_the_trials(values: list[tuple[float, ...]]) -> None:
    objectives = make_objectives(*["Minimize"] * len(values[0]))
    history = hypervolume_history(objectives, make_candidates(*values))
    shares = [share for _, share in history]
    assert shares == sorted(shares)
    assert all(-1e-9 <= share <= 1 + 1e-9 for share in shares)
    assert [number for number, _ in history] == sorted({number for number, _ in history})


def test_of_many_trials_a_few_moments_are_told_and_the_last_is_among_them() -> None:
    values = [(float(n % 7), float(n % 11)) for n in range(500)]
    history = hypervolume_history(TWO, make_candidates(*values))
    assert len(history) == 30
    assert history[-1] == (499, hypervolume(TWO, make_candidates(*values)))
