from dataclasses import replace

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuning_client.exceptions import WrongUse
from tuning_client.local.studies import choose
from tuning_report import text
from tuning_report.round_history import History, choosing_by
from tuning_report.round_history import Verification as HistoryVerification
from tuning_study.api.selection import Selection
from tuning_study.api.verification import Verification
from tuning_study.budget import Counts, RoundLimits, StopReason
from tuning_study.results.verified import Measured, verdict
from unit.report import histories

TWO = [{"name": "loss", "direction": "Minimize"}, {"name": "size", "direction": "Minimize"}]


def test_several_objectives() -> None:
    found = histories.history(
        TWO,
        [histories.trial(i, [float(i), 5.0 - i]) for i in range(5)]
        + [histories.trial(0, [9.0, 9.0]), histories.trial(1, None, TrialState.FAIL)],
        [("ValueError: no\nmore", 1)],
    )
    told = "\n".join(text.lines(found))
    for want in (
        "complete, the goal is reached; 6 complete, 1 failed in 12s",
        "no single best: loss and size are all objectives, and 5 trials are in the Pareto set",
        f"`tuning pareto {found.resolved.name}` lists them",
        "Pareto set: 5 trials that no other beats",
        "worker-0 ",
        "  1 × ValueError: no more",
    ):
        assert want in told, want


def test_a_selection_names_one_of_them() -> None:
    trials = [histories.trial(i, [float(i), 5.0 - i if i else 9.0]) for i in range(5)]
    found = histories.history(TWO, trials, selection={"policy": "Knee"})
    told = "\n".join(text.lines(found))
    assert "best: trial 1, chosen by Knee among 5 of the Pareto set" in told
    assert "no single best" not in told
    assert found.leaders[0].number == 1
    tried = choosing_by(found, Selection(policy="Weighted", weights={"size": 1}))
    assert (tried.best and tried.best.number, tried.chosen_by) == (4, "Weighted among 5")


def test_where_no_trial_is_feasible_none_is_chosen_and_the_nearest_is_shown() -> None:
    found = histories.history(
        TWO,
        [infeasible(0, 90.0, 1.0), infeasible(1, 61.0, 1.0), infeasible(2, 61.0, 30.0)],
        selection={"policy": "Knee"},
        constraints=[{"metric": "loss", "max": 50}, {"metric": "size", "max": 20}],
    )
    assert found.best is None
    assert text.best_lines(found) == [
        "no trial is feasible, so none is chosen; trial 1 comes nearest: loss is 61, and at most 50 is feasible"
    ]


def infeasible(index: int, *values: float) -> FrozenTrial:
    return create_trial(values=list(values), system_attrs={"constraints:loss<=50": values[0] - 50})


def test_what_auto_was_and_why() -> None:
    found = histories.history(TWO, [histories.trial(0, [1.0, 1.0])])
    assert "\nsampler: GP (Auto: " in "\n".join(text.lines(found))


def test_what_as_many_trials_again_would_likely_bring() -> None:
    random = {"sampler": {"type": "Random"}}
    losses = [*(2.0 for _ in range(10)), *(1.5 for _ in range(10))]
    found = histories.history(TWO[:1], [histories.trial(i, [loss]) for i, loss in enumerate(losses)], strategy=random)
    assert (
        "the last 10 of 20 trials brought loss from 2 to 1.5: as many again would likely bring 0.2 more, and at most 2 "
        "nine times in ten"
    ) in text.lines(found)
    level = histories.history(TWO[:1], [histories.trial(i, [1.0]) for i in range(20)], strategy=random)
    assert "the last 10 of 20 trials improved nothing: as many again would likely bring little" in text.lines(level)


def test_what_became_of_a_tables_columns() -> None:
    found = replace(histories.history(TWO, [histories.trial(0, [1.0, 1.0])]), preparation=["city: categories"])
    assert "\n\ncolumns\n  city: categories" in "\n".join(text.lines(found))


@pytest.mark.parametrize(
    ("over", "paused", "want"),
    [
        (None, False, "Running"),
        (None, True, "Suspended"),
        (StopReason.BUDGET_USED, True, "Complete"),
        (StopReason.REJECTED, False, "Failed"),
    ],
)
def test_state(over: StopReason | None, paused: bool, want: str) -> None:
    assert text.state(over, paused) == want


def test_failure_says_why_and_what_to_do() -> None:
    found = histories.history(TWO, [], [("ValueError: no", 7)])
    stopped = replace(
        found, progress=replace(found.progress, limits=RoundLimits(30, 7, stop=StopReason.REJECTED), detail="no m")
    )
    assert text.failure(stopped) == "the study failed: the objective cannot run: no m"
    many = replace(
        found, progress=replace(found.progress, limits=RoundLimits(30, 0, stop=StopReason.TOO_MANY_FAILURES))
    )
    said = text.failure(many)
    assert said is not None
    assert "7 × ValueError: no" in said
    assert "budget.failedTrials" in said


def test_long_reasons_keep_their_end() -> None:
    told = text.shortened("begin " + "x" * 1000 + " the cause")
    assert len(told) < 420
    assert told.startswith("begin")
    assert told.endswith("the cause")


def test_choose() -> None:
    one = {"a": histories.history(TWO, []).progress}
    assert choose(one, None) is one["a"]
    for studies, name, want in [
        ({}, None, "no study yet"),
        (one, "b", "no study b"),
        ({**one, "b": one["a"]}, None, "a, b"),
    ]:
        with pytest.raises(WrongUse, match=want):
            choose(studies, name)


def verified() -> History:
    """Three trials, of which the two best were measured twice again: the lucky one turns out the worse."""
    metrics = [{"name": "loss", "direction": "Minimize"}]
    found = histories.history(metrics, [histories.trial(i, [value]) for i, value in enumerate((0.1, 0.2, 0.9))])
    spec = found.resolved.spec.model_copy(update={"verification": Verification(top=2, repeats=2)})
    runs = [
        Measured(0, {0: (0.5,), 1: (0.6,)}, {"loss": 0.55}, 1.0, failed=0, feasible=2),
        Measured(1, {0: (0.25,), 1: (0.34,)}, {"loss": 0.295}, 1.0, failed=0, feasible=2),
    ]
    over = replace(found.progress, limits=RoundLimits(4, 5), counts=Counts(complete=4))
    return replace(
        found,
        resolved=found.resolved.model_copy(update={"spec": spec}),
        verification=HistoryVerification(over, verdict(spec.objectives, [], runs, 0.0)),
    )


def test_the_best_is_the_verified_one_with_its_mean() -> None:
    told = "\n".join(text.lines(verified()))
    assert "best: trial 1\n  loss  0.295" in told


def test_a_verification_is_told_beside_what_the_search_measured() -> None:
    told = "\n".join(text.lines(verified()))
    assert "verification: 4 runs of 2 trials" in told
    assert "0       0.1            0.55" in told
    assert "trial 1 has loss 0.295 on the mean of 2 runs" in told


def test_a_round_is_verifying_until_its_runs_are_done() -> None:
    found = verified()
    assert found.verification is not None
    at_work = replace(found.verification.progress, counts=Counts(complete=1))
    found = replace(found, verification=replace(found.verification, progress=at_work))
    assert text.state_of(found) == "Verifying"
    assert "best: trial 0\n  loss  0.1" in "\n".join(text.lines(found))
