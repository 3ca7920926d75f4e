"""Which gates let verified parameters through to production, and what each of them says."""

from dataclasses import replace
from typing import Any

import pytest

from tuning_study.api.promotion import Gates
from tuning_study.api.promotion_status import GateStatus
from tuning_study.api.status import Best
from tuning_study.promotion.gates import Candidate, Circumstances, in_words, judge, let_through
from tuning_study.results.outcome import Comparison, Difference

BETTER = Difference("accuracy", before=0.90, after=0.92, mean=0.02, error=0.004, runs=10, chances=1)
STABLE, NEW = "digits-params-r1-0000aaaa", "digits-params-r2-1111bbbb"
ASKED = Gates(min_improvement=0.005, confidence=0.95)
AROUND = Circumstances(stable=STABLE, automatic=True)


def candidate(*differences: Difference, **more: Any) -> Candidate:
    best = Best(trial=7, metrics=[], parameters=[], verified=True)
    return replace(Candidate(NEW, best, Comparison("Improved", differences or (BETTER,))), **more)


def refusing(given: Candidate, around: Circumstances = AROUND) -> dict[str, str]:
    """What keeps the parameters out, by gate."""
    return {gate.name: gate.message for gate in judge(given, ASKED, around) if gate.verdict != "Passed"}


def gate(name: str, given: Candidate, around: Circumstances = AROUND) -> GateStatus:
    return next(gate for gate in judge(given, ASKED, around) if gate.name == name)


def test_parameters_that_are_surely_better_by_enough_are_let_through() -> None:
    told = judge(candidate(), ASKED, AROUND)
    assert let_through(told)
    assert gate("Better", candidate()).message == (
        "accuracy 0.9 → 0.92, better by 0.02 (0.011 to 0.029, 95 %) over 10 runs of both; better by 0.005 or more by"
        " chance: p = 0.0023, asked: at most 0.05"
    )


@pytest.mark.parametrize(
    ("difference", "word"),
    [
        (replace(BETTER, mean=0.006), "p = 0.4"),
        (replace(BETTER, chances=30), "p = 0.068"),
        (replace(BETTER, mean=-0.02), "accuracy is worse"),
    ],
    ids=["better, but not by minImprovement", "the best of many", "worse"],
)
def test_what_may_be_luck_or_too_little_is_refused(difference: Difference, word: str) -> None:
    assert word in refusing(candidate(difference))["Better"]


def test_of_two_objectives_one_that_is_surely_worse_refuses() -> None:
    latency = Difference("latencyMs", before=10, after=12, mean=-2, error=0.2, runs=10, chances=2)
    assert "latencyMs is worse" in refusing(candidate(BETTER, latency))["Better"]
    assert "Better" not in refusing(candidate(BETTER, replace(latency, mean=0.01)))


def test_the_first_parameters_have_nothing_to_be_better_than_and_no_drift_to_wait_for() -> None:
    around = replace(AROUND, stable=None, drifted=None)
    assert refusing(candidate(comparison=None), around) == {}


def test_those_that_were_not_measured_beside_production_are_unknown_and_wait() -> None:
    given = candidate(comparison=None, why_not_compared="a changed manifest began the round")
    found = gate("Better", given)
    assert (found.verdict, found.message) == ("Unknown", "a changed manifest began the round")
    assert not let_through(judge(given, ASKED, AROUND))


def test_what_was_judged_while_the_comparison_was_at_hand_holds() -> None:
    earlier = gate("Better", candidate())
    assert gate("Better", candidate(comparison=None, judged_before=earlier)) == earlier


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"best": Best(trial=7, metrics=[], parameters=[], verified=False)}, "Verified"),
        ({"best": Best(trial=7, metrics=[], parameters=[], verified=True, feasible=False)}, "Constraints"),
    ],
)
def test_what_the_verification_did_not_show_keeps_them_out(change: dict[str, Any], refused: str) -> None:
    assert list(refusing(candidate(**change))) == [refused]


@pytest.mark.parametrize(
    ("change", "refused", "verdict"),
    [
        ({"drifted": True}, "Drift", "Refused"),
        ({"drifted": None}, "Drift", "Unknown"),
        ({"frozen": True}, "NotFrozen", "Refused"),
        ({"automatic": False}, "Approved", "Unknown"),
        ({"rolled_back": ["digits-params-r1-1111bbbb"]}, "NotRolledBack", "Refused"),
    ],
)
def test_what_is_around_keeps_them_out(change: dict[str, Any], refused: str, verdict: str) -> None:
    around = replace(AROUND, **change)
    assert list(refusing(candidate(), around)) == [refused]
    assert gate(refused, candidate(), around).verdict == verdict


def test_a_person_decides_over_better_and_drift_and_it_is_told() -> None:
    around = replace(AROUND, automatic=False, approved_by="ada: a new market", drifted=True)
    assert refusing(candidate(replace(BETTER, mean=0.0)), around) == {}
    assert gate("Drift", candidate(), around).message.startswith("ada: a new market decides; ")


def test_nobody_decides_over_constraints_and_over_a_freeze() -> None:
    best = Best(trial=7, metrics=[], parameters=[], verified=True, feasible=False)
    around = replace(AROUND, approved_by="ada", frozen=True)
    assert list(refusing(candidate(best=best), around)) == ["Constraints", "NotFrozen"]


def test_parameters_that_were_rolled_back_need_a_person_who_wants_them_again() -> None:
    around = replace(AROUND, rolled_back=[NEW], approved_by="ada")
    assert "tuning promote --again" in refusing(candidate(), around)["NotRolledBack"]
    assert refusing(candidate(), replace(around, again=True)) == {}


def test_what_keeps_them_out_is_one_sentence() -> None:
    told = judge(candidate(), ASKED, replace(AROUND, frozen=True, automatic=False))
    assert in_words(told) == "NotFrozen: the study is frozen; Approved: waits for `tuning promote`"
