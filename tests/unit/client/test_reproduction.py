"""What is repeated of a round, and how a repetition is told from what is stored."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from builders import real
from tuning_client import reproduction
from tuning_client.exceptions import TuningError, WrongUse
from tuning_report.round_history import History
from tuning_study.attributes import FAILURE_ATTRIBUTE, METRICS_ATTRIBUTE, POINT_ATTRIBUTE
from unit.report.histories import history as history_of

LOSS = {"name": "loss", "direction": "Minimize", "goal": 0.0}
PIPELINE = {"sklearn": {"steps": [{"class": "sklearn.svm.SVC"}], "dataset": {"load": "digits"}}}


def made(x: float, value: float | None = None, state: TrialState = TrialState.COMPLETE, **more: Any) -> FrozenTrial:
    complete = state is TrialState.COMPLETE
    return create_trial(
        state=state,
        values=[x if value is None else value] if complete else None,
        params={"x": x},
        distributions={"x": FloatDistribution(0, 1)},
        **more,
    )


FAILED = made(0.7, state=TrialState.FAIL, user_attrs={FAILURE_ATTRIBUTE: "no metric"})


def round_of(*trials: FrozenTrial, **fields: Any) -> History:
    return history_of([LOSS], list(trials), parameters=[real("x")], **fields)


@pytest.fixture
def stored() -> History:
    return round_of(made(0.5), FAILED, made(0.3), made(0.4, state=TrialState.PRUNED, intermediate_values={1: 0.4}))


class TestOneTrial:
    def test_is_repeated_under_its_number_with_its_parameters(self, stored: History) -> None:
        wanted = reproduction.of_trial(stored, "best")
        assert (wanted.trials, wanted.points) == ([2], [{"x": 0.3}])
        assert [trial.state for trial in wanted.before] == [TrialState.COMPLETE, TrialState.FAIL]
        assert (wanted.resolved.seed, wanted.resolved.study) == (stored.resolved.seed, stored.resolved.study)

    def test_ends_the_round_whether_it_succeeds_or_fails(self, stored: History) -> None:
        budget = reproduction.of_trial(stored, "3").resolved.spec.budget
        assert (budget.trials, budget.failed_trials) == (3, 2)
        assert (budget.duration, budget.no_improvement, budget.fail_fast) == (None, None, 0)

    def test_needs_no_search_and_no_verification(self) -> None:
        stored = round_of(made(0.5), strategy={"sampler": {"type": "GP"}}, verification={"top": 1})
        spec = reproduction.of_trial(stored, "0").resolved.spec
        assert spec.strategy.sampler is not None and spec.strategy.sampler.type == "Random"
        assert (spec.verification, spec.objectives[0].goal) == (None, None)

    def test_in_phases_keeps_their_pruners(self) -> None:
        phases = [{"name": "a", "trials": 5, "pruner": {"type": "Median"}, "sampler": {"type": "GP"}}]
        stored = round_of(made(0.5), strategy={"phases": phases})
        [phase] = reproduction.of_trial(stored, "0").resolved.spec.phases
        assert (phase.pruner.type, phase.sampler.type) == ("Median", "Random")

    def test_has_a_number_though_one_before_it_has_not_ended(self) -> None:
        stored = round_of(made(0.5, state=TrialState.RUNNING), made(0.3))
        [before] = reproduction.of_trial(stored, "1").before
        assert before.state is TrialState.FAIL

    @pytest.mark.parametrize(
        ("wanted", "says"),
        [
            ("first", "--trial first: write best, or the number of a trial"),
            ("4", "there is no trial 4: round 1 of .* has 4, from 0 on"),
            ("1", "trial 1 came to no result to compare with: no metric"),
        ],
    )
    def test_that_cannot_be_repeated_is_refused(self, stored: History, wanted: str, says: str) -> None:
        with pytest.raises(WrongUse, match=says):
            reproduction.of_trial(stored, wanted)

    def test_of_a_round_without_a_best_is_refused(self) -> None:
        with pytest.raises(TuningError, match="round 1: "):
            reproduction.of_trial(round_of(FAILED), "best")


class TestAWholeRound:
    def test_has_its_trials_its_sampler_and_what_it_began_with(self) -> None:
        given = made(0.5, system_attrs={POINT_ATTRIBUTE: {"x": 0.5}})
        known = made(0.6, system_attrs={POINT_ATTRIBUTE: {"x": 0.6}})
        stored = round_of(given, known, made(0.3), FAILED, strategy={"sampler": {"type": "GP"}})
        stored = replace(stored, known_from=1, known={"suggestions": [{"point": {"x": 0.6}}]})
        wanted = reproduction.of_round(stored)
        assert (wanted.points, wanted.known, wanted.before) == ([{"x": 0.5}], [{"x": 0.6}], [])
        spec = wanted.resolved.spec
        assert spec.strategy.sampler is not None and spec.strategy.sampler.type == "GP"
        assert (spec.budget.trials, wanted.trials) == (3, [0, 1, 2, 3])

    def test_without_a_result_is_refused(self) -> None:
        with pytest.raises(WrongUse, match="no trial that came to a result"):
            reproduction.of_round(round_of(FAILED))


def compared(stored: History, again: History, trials: Sequence[int] = (0,), **more: Any) -> reproduction.Comparison:
    return reproduction.compare(stored, again, trials, **({"whole": False} | more))


class TestAComparison:
    def test_of_equal_trials_finds_nothing(self, stored: History) -> None:
        found = compared(stored, stored, [0, 1, 2, 3], whole=True)
        assert found.equal and found.reasons == []
        assert reproduction.lines(found)[0].endswith("round 1: 4 trials came out again, bit for bit")

    def test_tells_the_last_digit(self) -> None:
        found = compared(round_of(made(0.3)), round_of(made(0.3, math.nextafter(0.3, 1))))
        [value] = found.differences
        assert (value.what, value.stored, value.repeated) == ("loss", 0.3, 0.30000000000000004)
        assert "0.30000000000000004" in "\n".join(reproduction.lines(found))

    def test_tells_the_first_trial_that_differs_and_in_what(self) -> None:
        stored, again = round_of(made(0.5), made(0.3), made(0.4)), round_of(made(0.5), made(0.31), made(0.41))
        found = compared(stored, again, [0, 1, 2], whole=True)
        assert reproduction.lines(found)[0].endswith("2 of 3 trials differ, and trial 1 is the first")
        assert reproduction.document(found)["firstDifference"] == 1
        assert [value.what for value in found.differences if value.trial == 1] == ["parameter x", "loss"]

    def test_tells_a_trial_that_is_missing(self) -> None:
        [value] = compared(round_of(made(0.5), made(0.3)), round_of(made(0.5)), [0, 1]).differences
        assert (value.trial, value.what, value.repeated) == (1, "trial", "is missing")

    def test_of_what_is_no_number_twice_is_equal(self) -> None:
        nan = made(0.3, user_attrs={METRICS_ATTRIBUTE: {"loss": math.nan}})
        found = compared(round_of(nan), round_of(nan))
        assert found.equal
        assert reproduction.document(found)["values"][-1]["stored"] == "nan"

    def test_does_not_expect_a_time_to_come_out_again(self) -> None:
        metrics = [{"name": "accuracy", "direction": "Maximize"}, {"name": "fitSeconds"}]

        def took(seconds: float) -> History:
            told = made(0.9, user_attrs={METRICS_ATTRIBUTE: {"accuracy": 0.9, "fitSeconds": seconds}})
            return history_of(metrics, [told], parameters=[real("x")], objective=PIPELINE)

        found = compared(took(0.1), took(0.2))
        assert found.equal
        assert "fitSeconds measures time, and is not compared" in reproduction.lines(found)


class TestTheLikelyReason:
    AGAIN = round_of(made(0.3, 0.31))

    def reasons(self, stored: History, again: History = AGAIN, **more: Any) -> str:
        return "\n".join(compared(stored, again, **more).reasons)

    def test_is_a_version_that_differs(self) -> None:
        stored = replace(round_of(made(0.3)), versions={"optuna": "5.0.0", "numpy": "1.26", "xgboost": "2.0"})
        again = replace(self.AGAIN, versions={"optuna": "5.0.0", "numpy": "2.0"})
        assert self.reasons(stored, again) == ("numpy: 1.26 then, 2.0 here\nxgboost: 2.0 then, not installed here")

    def test_is_the_data(self) -> None:
        stored = replace(round_of(made(0.3)), data="rows.csv, SHA-256 1")
        assert "the data: rows.csv, SHA-256 1 then, rows.csv, SHA-256 2 here" in self.reasons(
            stored, replace(self.AGAIN, data="rows.csv, SHA-256 2")
        )

    def test_is_a_file_of_the_objective(self) -> None:
        assert self.reasons(round_of(made(0.3)), changed_files=["train.py"]) == "train.py has changed since"

    @pytest.mark.parametrize(("whole", "told"), [(True, True), (False, False)])
    def test_is_the_order_of_several_workers_claims_but_not_of_one_trial(self, whole: bool, told: bool) -> None:
        stored = replace(round_of(made(0.3), made(0.4)), workers={0: "worker-0", 1: "worker-1"})
        assert ("2 workers took the trials" in self.reasons(stored, whole=whole)) == told

    def test_is_a_search_that_follows_the_clock(self) -> None:
        metrics = [{"name": "accuracy", "direction": "Maximize"}, {"name": "fitSeconds", "direction": "Minimize"}]

        def took(accuracy: float) -> History:
            told = create_trial(state=TrialState.COMPLETE, values=[accuracy, 0.1])
            return history_of(metrics, [told], parameters=[real("x")], objective=PIPELINE)

        assert "fitSeconds measures time, and the search follows it" in self.reasons(took(0.3), took(0.4), whole=True)

    def test_is_said_to_be_unknown_where_nothing_recorded_differs(self) -> None:
        assert "nothing that is recorded differs" in self.reasons(round_of(made(0.3)))


def test_a_repetition_that_fails_has_a_reason_and_no_value() -> None:
    attributes = {FAILURE_ATTRIBUTE: "NameError: no `spam` (obj.py:4)", METRICS_ATTRIBUTE: {"loss": 2.1}}
    failed = made(0.5, state=TrialState.FAIL, user_attrs=attributes)
    found = reproduction.compare(round_of(made(0.5)), round_of(failed), [0], whole=False)
    told = {value.what: value.repeated for value in found.differences}
    assert told == {"state": "Fail: NameError: no `spam` (obj.py:4)", "loss": None}
