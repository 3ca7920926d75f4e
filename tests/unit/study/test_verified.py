"""What a verification came to: who is dropped, who is named, and how surely."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial
from scipy.stats import t

from builders import make_round, make_spec
from tuning_study.api.spec import TuningStudySpec
from tuning_study.results.describe import verification_message
from tuning_study.results.verified import Measured, dropped, measured, overlap_of, verdict
from tuning_study.verification import verification_of

LOSS = make_spec(metrics=[{"name": "loss", "direction": "Minimize"}])
ACCURACY = make_spec(metrics=[{"name": "accuracy", "direction": "Maximize"}])
BOUNDED = make_spec(
    metrics=[{"name": "loss", "direction": "Minimize"}, {"name": "size"}], constraints=[{"metric": "size", "max": 5}]
)


def candidate(
    trial: int, *values: float, seconds: float = 1.0, feasible: int | None = None, **metrics: float
) -> Measured:
    runs = {repeat: (value,) for repeat, value in enumerate(values)}
    met = len(values) if feasible is None else feasible
    return Measured(trial, runs, {"loss": 0.0} | metrics, seconds, failed=0, feasible=met)


def named(
    found: Sequence[Measured], spec: TuningStudySpec = LOSS, overlap: float = 0.0
) -> tuple[int | None, list[int]]:
    verified = verdict(spec.objectives, spec.constraints, found, overlap)
    return verified.best, list(verified.alike)


CLOSE = [candidate(7, 1.0, 3.0, 2.0, 2.0), candidate(8, 1.1, 2.9, 2.1, 1.8), candidate(9, 5.0, 7.0, 6.0, 6.1)]


def test_the_best_has_the_best_mean_and_those_that_are_as_good_are_told() -> None:
    assert named(CLOSE) == (1, [0])


def test_directions_count() -> None:
    assert named(CLOSE, ACCURACY)[0] == 2


def test_of_those_that_are_alike_the_clearly_cheaper_is_named() -> None:
    found = [candidate(7, 1.0, 3.0, 2.0, seconds=0.5), candidate(8, 1.1, 2.9, 1.9, seconds=1.0)]
    assert named(found) == (0, [1])


def test_a_little_cheaper_is_no_reason() -> None:
    found = [candidate(7, 1.0, 3.0, 2.0, seconds=0.95), candidate(8, 1.1, 2.9, 1.9, seconds=1.0)]
    assert named(found) == (1, [0])


def test_a_constraint_is_applied_to_the_means() -> None:
    found = [candidate(7, 1.0, 1.1, 0.9, size=5.1, feasible=1), candidate(8, 2.0, 2.1, 1.9, size=4.9)]
    assert named(found, BOUNDED)[0] == 1


def test_runs_of_one_repeat_are_compared_with_each_other() -> None:
    """Both vary much from repeat to repeat, and yet one is better in each."""
    found = [candidate(7, 1.0, 9.0, 5.0, 3.0), candidate(8, 1.1, 9.11, 5.09, 3.1)]
    assert named(found) == (0, [])


def test_runs_that_share_rows_tell_less() -> None:
    found = [candidate(7, 1.0, 3.0, 2.0, 2.0), candidate(8, 1.2, 3.4, 2.2, 2.3)]
    assert named(found) == (0, [])
    assert named(found, overlap=1.0) == (0, [1])


@pytest.mark.parametrize(("overlap", "wider"), [(0.0, 1.0), (0.25, 2**0.5)])
def test_an_interval_is_students_with_nadeaus_and_bengios_correction(overlap: float, wider: float) -> None:
    low, high = candidate(7, 1.0, 2.0, 4.0, 5.0).interval(0, overlap) or (0, 0)
    half = t.ppf(0.975, 3) * np.std([1, 2, 4, 5], ddof=1) / 2
    assert (low, high) == pytest.approx((3 - wider * half, 3 + wider * half), abs=0.01 * half)


def test_the_overlap_is_the_share_of_a_folds_test_rows_in_its_training_rows() -> None:
    sklearn = {"steps": [{"class": "sklearn.svm.SVC"}], "dataset": {"load": "wine"}, "crossValidation": {"folds": 3}}
    assert overlap_of(make_spec(objective={"sklearn": sklearn}, verification={"folds": 10})) == pytest.approx(1 / 9)
    assert overlap_of(make_spec(objective={"sklearn": sklearn}, verification={})) == pytest.approx(1 / 2)
    assert overlap_of(LOSS) == 0


def test_nothing_is_named_while_no_run_has_come_to_a_value() -> None:
    assert named([candidate(7), candidate(8)]) == (None, [])


def test_the_message_says_how_surely() -> None:
    verified = verdict(LOSS.objectives, [], CLOSE, 0.0)
    message = "trial 8 has loss 1.975 on the mean of 4 runs, of which the mean lies within"
    assert verification_message(verified, LOSS).startswith(message)
    assert verification_message(verified, LOSS).endswith("; trials 7 cannot be told apart from it")


class TestDropped:
    def test_is_who_is_behind_in_each_run_by_more_than_their_noise(self) -> None:
        assert dropped(LOSS.objectives, CLOSE) == {2}

    def test_is_nobody_before_the_third_run(self) -> None:
        assert dropped(LOSS.objectives, [candidate(7, 1.0, 1.0), candidate(8, 9.0, 9.0)]) == set()

    def test_is_who_is_behind_at_all_where_there_is_no_noise(self) -> None:
        assert dropped(LOSS.objectives, [candidate(7, 1.0, 1.0, 1.0), candidate(8, 1.1, 1.1, 1.1)]) == {1}

    def test_is_nobody_behind_one_that_may_be_infeasible(self) -> None:
        found = [candidate(7, 1.0, 1.1, 0.9, feasible=2), candidate(8, 2.0, 2.1, 1.9)]
        assert dropped(LOSS.objectives, found) == set()

    def test_is_nobody_of_those_that_are_equal(self) -> None:
        assert dropped(LOSS.objectives, [candidate(7, 1.0, 1.0, 1.0), candidate(8, 1.0, 1.0, 1.0)]) == set()

    def test_is_nobody_where_there_are_several_objectives(self) -> None:
        two = make_spec(metrics=[{"name": n, "direction": "Minimize"} for n in ("loss", "size")])
        assert dropped(two.objectives, CLOSE) == set()

    @pytest.mark.parametrize(("apart", "most_used"), [(2.0, 2 / 3), (5.0, 0.55)])
    def test_saves_a_third_of_the_runs_and_loses_no_winner(self, apart: float, most_used: float) -> None:
        """Five candidates whose true values lie `apart` standard deviations of a run's noise, ten runs of each."""
        rng, used, lost, same = np.random.default_rng(5), 0, 0.0, 0
        for _ in range(200):
            truth = rng.normal(0, apart, 5)
            runs = truth[:, None] + rng.normal(0, 1, (5, 10)) + rng.normal(0, 1, (1, 10))
            found: list[dict[int, tuple[float, ...]]] = [{} for _ in range(5)]
            for repeat in range(10):
                for place in range(5):
                    so_far = [Measured(i, values, {}, 1.0, 0, len(values)) for i, values in enumerate(found)]
                    if place not in dropped(LOSS.objectives, so_far):
                        found[place][repeat] = (float(runs[place, repeat]),)
                        used += 1
            winner = verdict(
                LOSS.objectives, [], [Measured(i, v, {}, 1.0, 0, len(v)) for i, v in enumerate(found)], 0.0
            ).best
            assert winner is not None
            same += winner == runs.mean(axis=1).argmin()
            lost += truth[winner] - truth[runs.mean(axis=1).argmin()]
        assert used / 10_000 < most_used
        assert same >= 197
        assert lost / 200 < 0.01


def run(value: float | None, seconds: float) -> FrozenTrial:
    began = datetime(2026, 1, 1)
    trial = create_trial(
        state=TrialState.FAIL if value is None else TrialState.COMPLETE,
        values=None if value is None else [value],
        user_attrs={} if value is None else {"tuning:metrics": {"accuracy": value, "size": 2 * value}},
    )
    trial.datetime_start, trial.datetime_complete = began, began + timedelta(seconds=seconds)
    return trial


def test_runs_are_found_by_the_numbers_of_their_trials() -> None:
    verification = verification_of(make_round(verification={"repeats": 2}), used=9, candidates=2)
    trials = [run(0.5, 1), run(0.25, 2), run(None, 9), run(0.75, 4), run(0.1, 1)]
    for number, trial in enumerate(trials):
        trial.number = number
    first, second = measured(verification, [17, 4], trials)
    assert (first.trial, first.values, first.failed, first.seconds) == (17, {0: (0.5,)}, 1, 1.0)
    assert (second.trial, second.values, second.seconds) == (4, {0: (0.25,), 1: (0.75,)}, 3.0)
    assert second.metrics == {"accuracy": 0.5, "size": 1.0}
