"""From verified parameters to production and back, look by look: what the plan does, tells and keeps."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_operator import reasons
from tuning_operator.plan.actions import KeepParameters, MoveProduction, Record, StartRound, StartStaging
from tuning_operator.rollout.parameters_job import JobView
from tuning_study.results.outcome import Comparison, Difference

from .plans import value
from .promoting_study import Life, better, harm, unknown

BETTER = Comparison("Improved", [Difference("accuracy", 0.90, 0.92, 0.02, 0.002, 10, 1)])
LUCK = Comparison("NoBetter", [Difference("accuracy", 0.90, 0.901, 0.001, 0.002, 10, 1)])
DEPLOYMENT = {"deployment": {"name": "digits-api"}}


def names(life: Life) -> list[str]:
    return [entry.parameters or "" for entry in life.status.rounds]


def promoted(**promotion: Any) -> Life:
    """A study with two rounds, the second of which is in production."""
    life = Life(**promotion)
    life.verifies()
    life.looks()
    life.verifies(BETTER)
    life.looks()
    assert life.state == "Stable"
    return life


def test_a_verified_round_leaves_its_parameters_though_nothing_is_promoted() -> None:
    life = Life("None")
    life.verifies(C=0.5)
    life.looks()
    [kept] = [action.found for action in life.done if isinstance(action, KeepParameters)]
    assert kept.parameters == {"x": 1.0, "C": 0.5}
    assert names(life) == [kept.name] and kept.name.startswith("digits-params-r1-")
    assert life.moves == [] and life.status.promotion is None


def test_the_first_verified_parameters_go_to_production() -> None:
    life = Life()
    life.verifies()
    life.looks()
    assert life.moves == names(life)
    assert (life.state, life.promotion.stable, life.promotion.previous) == ("Stable", names(life)[0], None)
    assert value(life.status, "Promoted") == ("True", "Stable")
    assert life.events.count(reasons.PROMOTED) == 1


def test_before_the_first_promotion_the_last_round_that_helped_is_taken_to_serve() -> None:
    life = Life("Manual")
    life.verifies()
    life.looks()
    life.retune = "now"
    [begun] = [action for action in life.look().actions if isinstance(action, StartRound)]
    assert begun.incumbent == (life.status.rounds[0].study, 1)


def test_what_is_in_production_is_measured_beside_a_new_round() -> None:
    life = promoted()
    life.asks("rollback")
    life.looks()
    life.retune = "now"
    [begun] = [action for action in life.look().actions if isinstance(action, StartRound)]
    assert begun.incumbent == (life.status.rounds[0].study, 1)


def test_better_ones_follow_and_those_of_before_are_remembered() -> None:
    life = promoted()
    first, second = names(life)
    assert life.moves == [first, second]
    assert (life.promotion.stable, life.promotion.previous) == (second, first)
    assert list(life.record.values()) == ["Promoting", "Promoted"] * 2


def test_what_may_be_luck_stays_out_and_is_told_once() -> None:
    life = promoted()
    life.verifies(LUCK)
    life.looks(20)
    assert len(life.moves) == 2
    assert life.state == "Gated" and "better by 0.001" in life.promotion.message
    assert value(life.status, "Promoted") == ("False", "Gated")
    assert list(life.record.values()).count("Gated") == 1


def test_the_same_parameters_again_change_nothing() -> None:
    life = promoted()
    life.verifies(BETTER, x=2.0)
    life.looks()
    assert len(life.moves) == 2 and life.state == "Stable" and life.promotion.candidate is None


def test_manual_waits_for_a_person_whose_word_is_kept() -> None:
    life = Life("Manual")
    life.verifies()
    life.looks()
    assert life.moves == [] and "waits for `tuning promote`" in life.promotion.message
    life.asks("promote", reason="looks fine")
    life.looks()
    assert life.moves == names(life)
    promotions = [line for action in life.done if isinstance(action, Record) for line in action.lines]
    assert ("Promoted", "ada: looks fine") in [(line.kind, line.actor) for line in promotions]


def test_a_person_may_promote_an_older_round() -> None:
    life = promoted()
    life.asks("promote", round=1)
    life.looks()
    first, second = names(life)
    assert life.moves == [first, second, first]
    assert (life.promotion.stable, life.promotion.previous) == (first, second)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ({"round": 7}, "ada: not done, as round 7 has no verified parameters"),
        ({}, "is in production already"),
    ],
)
def test_what_cannot_be_promoted_is_answered(asked: dict[str, Any], answer: str) -> None:
    life = promoted()
    life.asks("promote", **asked)
    life.looks()
    assert answer in life.promotion.answer
    assert len(life.moves) == 2
    assert life.events.count(reasons.PROMOTION_REFUSED) == 1


def test_a_frozen_study_is_promoted_once_it_thaws() -> None:
    life = promoted()
    life.frozen = life.now + timedelta(hours=5)
    life.verifies(BETTER)
    life.looks()
    assert len(life.moves) == 2 and life.promotion.message.endswith("NotFrozen: the study is frozen")
    life.frozen = None
    life.looks()
    assert len(life.moves) == 3


def test_a_rollback_by_hand_asks_no_gate_and_goes_to_what_served_before() -> None:
    life = promoted()
    life.frozen = life.now + timedelta(hours=5)
    life.asks("rollback", reason="complaints")
    life.looks()
    first, second = names(life)
    assert life.moves == [first, second, first]
    assert life.state == "RolledBack"
    assert (life.promotion.stable, life.promotion.previous) == (first, None)
    assert [taken.parameters for taken in life.promotion.rolled_back] == [second]


def test_a_second_rollback_has_nothing_to_go_back_to_and_says_so() -> None:
    life = promoted()
    life.asks("rollback")
    life.looks()
    life.asks("rollback")
    life.looks()
    assert len(life.moves) == 3
    assert "there is nothing to go back to" in life.promotion.answer


def test_what_was_rolled_back_is_not_promoted_again_for_days_and_then_by_a_person() -> None:
    life = promoted()
    life.asks("rollback")
    life.looks(200)
    assert len(life.moves) == 3
    life.asks("promote")
    life.looks()
    assert len(life.moves) == 3 and "--again" in life.promotion.answer
    life.asks("promote", again=True, reason="the fault was elsewhere")
    life.looks()
    assert life.moves[-1] == names(life)[1] and len(life.moves) == 4


def test_equal_parameters_of_a_later_round_are_refused_too() -> None:
    life = promoted()
    life.asks("rollback")
    life.looks()
    life.verifies(BETTER, x=2.0)
    life.looks()
    assert len(life.moves) == 3 and "NotRolledBack" in life.promotion.message


@pytest.mark.parametrize(("before", "later", "refused"), [("a", "b", False), ("a", "a", True), (None, "b", True)])
def test_equal_parameters_may_serve_other_data(before: str | None, later: str, refused: bool) -> None:
    life = promoted()
    life.fingerprint(before)
    life.asks("rollback")
    life.looks()
    life.verifies(BETTER, x=2.0)
    life.fingerprint(later)
    life.looks()
    assert ("NotRolledBack" in life.promotion.message) == refused
    assert len(life.moves) == (3 if refused else 4)


def test_degradation_soon_after_a_promotion_brings_the_parameters_of_before_back_once() -> None:
    life = promoted(watch="1h")
    life.degraded = life.now
    life.looks(20)
    first, second = names(life)
    assert life.moves == [first, second, first]
    assert "degraded within 1:00:00 after the promotion: accuracy fell" in life.promotion.rolled_back[0].reason


def test_later_degradation_is_for_a_new_round() -> None:
    life = promoted(watch="1h")
    life.now += timedelta(hours=3)
    life.degraded = life.now
    life.looks()
    assert len(life.moves) == 2


def test_a_deployment_is_rolled_and_waited_for() -> None:
    life = Life(target=DEPLOYMENT)
    life.verifies()
    life.look()
    assert life.state == "Candidate"
    life.look()
    assert life.state == "Promoting"
    life.looks(2)
    assert life.state == "Stable" and life.rolled_to == names(life)[0]


def test_a_rollout_that_fails_goes_back() -> None:
    life = promoted(target=DEPLOYMENT)
    life.verifies(BETTER)
    life.stuck = True
    life.looks(4)
    assert life.state == "RollingBack"
    life.stuck = False
    life.looks()
    first, second, third = names(life)
    assert life.moves == [first, second, third, second]
    assert (life.state, life.promotion.stable, life.promotion.previous) == ("RolledBack", second, first)
    assert "the rollout of digits-api failed: timed out" in life.promotion.rolled_back[0].reason


def test_what_a_rollout_waits_for_is_told_while_it_does_on_the_way_there_and_back() -> None:
    life = promoted(target=DEPLOYMENT)
    first = names(life)[0]
    life.waiting = "it is paused"
    life.asks("rollback")
    life.looks(4)
    assert (life.state, life.promotion.message) == ("RollingBack", f"{first} is not brought back yet: it is paused")
    life.waiting = ""
    life.looks(2)
    assert life.state == "RolledBack"

    life.verifies(BETTER)
    life.waiting = "it is paused"
    life.looks(4)
    third, steps = names(life)[-1], life.promotion.steps
    assert (life.state, life.promotion.message) == ("Promoting", f"{first} → {third}: it is paused")
    assert value(life.status, "Promoted") == ("Unknown", "Promoting")
    life.waiting, life.slow = "", True
    life.look()
    assert (life.promotion.message, life.promotion.steps) == (f"{first} → {third}", steps)
    life.slow = False
    life.looks(2)
    assert life.promotion.stable == third


def test_a_target_that_had_failed_before_does_not_stop_parameters_that_may_mend_it() -> None:
    life = Life(target=DEPLOYMENT)
    life.verifies()
    life.stuck = True
    life.looks(10)
    assert life.state == "RolledBack"
    life.verifies(BETTER)
    life.look()
    life.look()
    life.stuck = False
    life.looks()
    assert (life.state, life.promotion.stable) == ("Stable", names(life)[-1])


@pytest.mark.parametrize("stale_pods", [True, False])
def test_pods_of_before_that_read_the_parameters_that_failed_are_started_anew(stale_pods: bool) -> None:
    life = promoted(target=DEPLOYMENT)
    life.verifies(BETTER)
    life.stuck, life.stale_pods = True, stale_pods
    life.looks(5)
    *_, there, back = [action for action in life.done if isinstance(action, MoveProduction)]
    assert (life.state, there.anew) == ("RollingBack", None)
    assert (back.parameters, back.anew) == (names(life)[1], life.promotion.since if stale_pods else None)


def test_a_first_rollout_that_fails_is_not_tried_again_and_again() -> None:
    life = Life(target=DEPLOYMENT)
    life.verifies()
    life.stuck = True
    life.looks(50)
    assert life.state == "RolledBack" and "there is nothing to go back to" in life.promotion.message
    assert len(life.record) < 6


def test_a_target_that_cannot_be_rolled_holds_the_candidate_until_it_can() -> None:
    life = Life(target=DEPLOYMENT)
    life.problem = reasons.TARGET_NOT_PROMOTABLE, "the Deployment lacks the label"
    life.verifies()
    life.looks(10)
    assert (life.state, life.moves) == ("Held", [])
    assert value(life.status, "Promoted") == ("Unknown", "Held")
    assert list(life.record.values()).count("Held") == 1
    life.problem = None
    life.looks()
    assert life.state == "Stable"


def test_somebody_who_takes_the_annotation_away_while_it_rolls_gets_it_back() -> None:
    life = promoted(target=DEPLOYMENT)
    life.verifies(BETTER)
    life.looks(2)
    assert life.state == "Promoting"
    life.rolled_to = None
    life.looks()
    assert life.rolled_to == names(life)[2] and life.state == "Stable"


CHECK = {"job": {"template": {"spec": {"containers": [{"name": "check", "image": "check:1"}]}}}}


def test_a_check_of_ones_own_is_the_last_gate_and_is_begun_once_all_others_are_open() -> None:
    life = Life("Manual", staging=CHECK)
    life.verifies()
    life.looks()
    assert not [action for action in life.done if isinstance(action, StartStaging)]
    life.asks("promote")
    life.look()
    assert [action.parameters for action in life.done if isinstance(action, StartStaging)] == names(life)
    assert life.state == "Staging"
    life.check = JobView()
    life.looks()
    assert (life.state, life.moves) == ("Staging", [])
    life.check = JobView("Complete")
    life.looks()
    assert (life.state, life.moves) == ("Stable", names(life))


def test_a_check_that_fails_keeps_the_parameters_out_and_says_why() -> None:
    life = Life(staging=CHECK)
    life.verifies()
    life.look()
    life.check = JobView("Failed", "Job has reached the specified backoff limit")
    life.looks(10)
    assert (life.state, life.moves) == ("Gated", [])
    assert life.promotion.message.endswith("Staging: the check failed: Job has reached the specified backoff limit")
    life.check = None  # somebody deletes the Job
    life.look()
    assert life.state == "Staging"


def test_the_check_of_other_parameters_says_nothing_of_newer_ones() -> None:
    life = Life(staging=CHECK)
    life.verifies()
    life.look()
    life.check = JobView("Complete")
    life.verifies(BETTER)
    life.look()
    assert (life.state, life.moves) == ("Staging", [])


def test_no_round_begins_while_production_changes() -> None:
    life = promoted(target=DEPLOYMENT)
    life.verifies(BETTER)
    life.looks(2)
    assert life.state == "Promoting"
    life.retune, life.slow = "now", True
    life.looks(3)
    assert (life.state, life.status.round) == ("Promoting", 3)
    life.slow = False
    life.look()
    assert (life.state, life.status.round) == ("Stable", 4)


WHAT_HAPPENS = (
    "better luck rollback promote again stuck free look crash degraded harm passes over changed".split()  # noqa: SIM905
)
EVENTS = st.lists(st.sampled_from(WHAT_HAPPENS), max_size=30)
CANARY = {"metrics": [{"name": "errors", "bad": "bad{ {{variant}} }", "total": "total{ {{variant}} }"}]}
KINDS: list[dict[str, Any]] = [
    {},
    {"target": DEPLOYMENT},
    {"target": DEPLOYMENT, "canary": CANARY},
    {"target": DEPLOYMENT, "canary": {**CANARY, "undecided": "Hold"}},
]


@given(EVENTS, st.sampled_from(["Automatic", "Manual"]), st.sampled_from(KINDS))
def test_whatever_happens_production_is_what_the_status_says_and_no_step_is_told_twice(
    events: Sequence[str], mode: str, kind: dict[str, Any]
) -> None:
    """The operator may end at any moment; then the same things are done again, and kept once."""
    life, target = Life(mode, **kind), kind.get("target")
    life.verifies()
    for event in events:
        match event:
            case "better":
                life.verifies(BETTER)
            case "luck":
                life.verifies(LUCK)
            case "rollback" | "promote":
                life.asks(event)
            case "again":
                life.asks("promote", again=True)
            case "stuck" | "free":
                life.stuck = event == "stuck"
            case "degraded":
                life.degraded = life.now
            case "harm" | "passes":
                life.verdict = harm() if event == "harm" else better()
                life.over = event == "passes"
            case "over":
                life.verdict, life.over = unknown(), True
            case "changed":
                life.template += "'"
            case _:
                life.look(crash=event == "crash")
    life.stuck = False
    if life.verdict.outcome == "Unknown":
        life.over = True
    life.looks(12)
    now, moves = life.promotion, life.moves
    assert not now.is_moving
    if now.stable is not None:
        assert moves[-1] == now.stable
        assert target is None or life.rolled_to == now.stable
    assert now.previous is None or now.previous != now.stable
    assert (life.canary is not None) == (
        now.state == "Held" and "undecided" in now.message and now.candidate is not None
    )
    assert now.steps >= len(life.record)
    steps = life.promotion.steps
    life.looks(10)
    assert life.promotion.steps == steps and life.moves == moves
