"""Whether a round's last trials have improved nothing."""

from datetime import datetime, timedelta

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from builders import make_objectives, make_spec
from tuning_study.results.stagnation import is_stagnant
from tuning_study.search.advice import advice

ONE, TWO = make_objectives("Maximize"), make_objectives("Maximize", "Minimize")
PRUNED, FAILED = TrialState.PRUNED, TrialState.FAIL
Outcome = float | tuple[float, ...] | TrialState


def trials(*outcomes: Outcome, infeasible: tuple[int, ...] = (), ended: tuple[int, ...] = ()) -> list[FrozenTrial]:
    """Trials with these values or states, that ended in the order of their numbers, or `ended` so many seconds on."""
    found = []
    for number, outcome in enumerate(outcomes):
        state = outcome if isinstance(outcome, TrialState) else TrialState.COMPLETE
        values = None if isinstance(outcome, TrialState) else outcome if isinstance(outcome, tuple) else (outcome,)
        trial = create_trial(
            state=state,
            values=values,
            system_attrs={"constraints:x<=1": 1.0 if number in infeasible else -1.0} if values else {},
        )
        trial.number = number
        trial.datetime_complete = datetime(2026, 3, 8) + timedelta(seconds=ended[number] if ended else number)
        found.append(trial)
    return found


@pytest.mark.parametrize(
    ("outcomes", "stagnant"),
    [
        ((0.9, 0.5, 0.6, 0.7), True),
        ((0.9, 0.9, 0.9, 0.9), True),  # equal is no better
        ((0.9, 0.5, 0.6, 0.91), False),
        ((0.5, 0.9, 0.6, 0.7), False),  # two trials since the best
        ((0.9, 0.5, 0.6), False),  # too few
        ((0.9, PRUNED, PRUNED, 0.5), True),
        ((0.9, PRUNED, PRUNED, FAILED), False),  # a failed trial counts for nothing
        ((PRUNED, PRUNED, PRUNED, PRUNED), False),  # nothing yet to improve
        ((0.9, 0.5, 0.6, 0.7, 0.95, 0.1), False),
    ],
)
def test_three_trials_without_a_better_value(outcomes: tuple[Outcome, ...], stagnant: bool) -> None:
    assert is_stagnant(ONE, trials(*outcomes), 3) is stagnant


@pytest.mark.parametrize(
    ("outcomes", "stagnant"),
    [
        (((0.9, 5.0), (0.8, 6.0), (0.9, 5.0)), True),
        (((0.9, 5.0), (0.8, 6.0), (0.1, 4.0)), False),  # a new member, which is better in one objective
        (((0.9, 5.0), (0.95, 4.0), (0.93, 4.5)), False),  # one that joined and is no member any more had been better
    ],
)
def test_two_trials_that_do_not_join_the_front(outcomes: tuple[Outcome, ...], stagnant: bool) -> None:
    assert is_stagnant(TWO, trials(*outcomes), 2) is stagnant


def test_infeasible_trials_improve_nothing_and_have_nothing_to_improve() -> None:
    assert is_stagnant(ONE, trials(0.5, 0.9, 0.9, infeasible=(1, 2)), 2)
    assert not is_stagnant(ONE, trials(0.5, 0.4, 0.4, infeasible=(0,)), 2)


def test_trials_count_in_the_order_in_which_they_ended() -> None:
    assert is_stagnant(ONE, trials(0.5, 0.6, 0.9, ended=(2, 3, 1)), 2)
    assert not is_stagnant(ONE, trials(0.9, 0.6, 0.5, ended=(3, 1, 2)), 2)


@pytest.mark.parametrize(
    ("sampler", "limit", "told"),
    [
        ({"type": "TPE"}, 9, "TPE's start takes 10"),
        ({"type": "TPE"}, 10, None),
        ({"type": "TPE", "options": {"nStartupTrials": 40}}, 20, "TPE's start takes 40"),
        ({"type": "Auto"}, 5, "Auto's start takes 8"),
        ({"type": "NSGAII"}, 30, "NSGAII's start takes 50"),
        ({"type": "Random"}, 1, None),
        ({"type": "Random"}, 100, "never reached"),
    ],
)
def test_a_limit_that_ends_a_search_before_it_learns_is_advised_against(
    sampler: dict[str, object], limit: int, told: str | None
) -> None:
    spec = make_spec(strategy={"sampler": sampler}, budget={"trials": 100, "noImprovement": limit})
    found = [sentence for sentence in advice(spec) if sentence.startswith("budget.noImprovement")]
    assert [told in sentence for sentence in found] == [True] if told else found == []
