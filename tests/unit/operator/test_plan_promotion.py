"""From verified parameters to production and back, look by look: what the plan does, tells and keeps."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, make_observation, make_progress, make_spec, make_status
from tuning_operator import reasons
from tuning_operator.observe.production import Production
from tuning_operator.plan.actions import Action, KeepParameters, MoveProduction, Record, StartRound, StartStaging
from tuning_operator.plan.decide import plan
from tuning_operator.plan.draft import Plan
from tuning_operator.targets.deployment import TargetView
from tuning_operator.targets.staging import StagingView
from tuning_study.api.status import Best, ProductionStatus, PromotionStatus
from tuning_study.budget import RoundLimits, StopReason
from tuning_study.promotion.requests import to_annotation
from tuning_study.results.outcome import Comparison, Difference

from .plans import value

BETTER = Comparison("Improved", [Difference("accuracy", 0.90, 0.92, 0.02, 0.002, 10, 1)])
LUCK = Comparison("NoBetter", [Difference("accuracy", 0.90, 0.901, 0.001, 0.002, 10, 1)])
DEPLOYMENT = {"deployment": {"name": "digits-api"}}


class Life:
    """A study and its looks. Rounds are verified when a test says so; a Deployment, if there is one, rolls out at once
    unless it is `slow` or `stuck`."""

    def __init__(self, mode: str = "Automatic", **promotion: Any) -> None:
        self.spec = make_spec(
            verification={"top": 1},
            promotion={"mode": mode, **promotion},
            production={"metrics": [{"name": "accuracy", "source": {"push": {}}}]},
        )
        self.status = make_status(state="Running", round=0).model_copy(update={"rounds": []})
        self.now, self.stuck, self.slow = NOW, False, False
        self.promote: str | None = None
        self.rollback: str | None = None
        self.retune: str | None = None
        self.parameters: dict[str, Any] = {}
        self.comparison: Comparison | None = None
        self.degraded: datetime | None = None
        self.frozen: datetime | None = None
        self.problem: tuple[str, str] | None = None
        self.check: StagingView | None = None
        self.rolled_to: str | None = None
        self.done: list[Action] = []
        self.events: list[str] = []

    def verifies(self, comparison: Comparison | None = None, *, trigger: str = "Manual", **parameters: Any) -> None:
        """A round ends, whose verification names these parameters; the parameters of before were measured too."""
        number = len(self.status.rounds) + 1
        self.now += timedelta(hours=2)
        [entry] = make_status(round=number).rounds
        entry = entry.model_copy(
            update={
                "start_time": self.now - timedelta(hours=1),
                "completion_time": self.now,
                "trigger": trigger if number > 1 else "Created",
                "best": Best(trial=number, metrics=[], parameters=[], verified=True),
            }
        )
        self.parameters, self.comparison = {"x": float(number), **parameters}, comparison
        rounds = [*self.status.rounds, entry]
        self.status = self.status.model_copy(
            update={"round": number, "state": "Complete", "rounds": rounds, "best": entry.best}
        )

    def asks(self, what: str, **given: Any) -> None:
        self.now += timedelta(seconds=1)
        setattr(self, what, to_annotation(self.now.isoformat(), **({"by": "ada"} | given)))

    def look(self, *, crash: bool = False) -> Plan:
        """One look; with `crash` the operator ends before it writes what it has done into the status."""
        self.now += timedelta(seconds=30)
        decided = plan(self._observed())
        for action in decided.actions:
            if isinstance(action, MoveProduction) and action.deployment is not None:
                self.rolled_to = action.parameters
        self.done += decided.actions
        if not crash:
            self.status = decided.status
            self.events += [event.reason for event in decided.events]
        return decided

    def looks(self, times: int = 6) -> None:
        for _ in range(times):
            self.look()

    @property
    def promotion(self) -> PromotionStatus:
        assert self.status.promotion is not None
        return self.status.promotion

    @property
    def state(self) -> str:
        return self.promotion.state

    @property
    def moves(self) -> list[str]:
        """The parameters that production got, one after another."""
        moved = [action.parameters for action in self.done if isinstance(action, MoveProduction)]
        return [name for place, name in enumerate(moved) if place == 0 or moved[place - 1] != name]

    @property
    def record(self) -> dict[str, str]:
        """Each line once, by its key, as the store keeps it."""
        kept: dict[str, str] = {}
        for action in self.done:
            for line in action.lines if isinstance(action, Record) else ():
                kept.setdefault(line.key, line.kind)
        return kept

    def _observed(self) -> Any:
        limits = RoundLimits(10, 100, stop=StopReason.BUDGET_USED)
        production = [
            ProductionStatus(name="accuracy", verdict="Degraded", degraded_since=self.degraded, message="accuracy fell")
        ]
        observed = make_observation(
            self.spec,
            status=self.status,
            progress=make_progress(self.spec, complete=10, limits=limits),
            verification=make_progress(self.spec, complete=10, limits=limits),
            best=self.status.best,
            parameters=self.parameters or None,
            comparison=self.comparison,
            production=Production(production if self.degraded else []),
            target=self._target(),
            staging=self.check,
            now=self.now,
        )
        study = replace(
            observed.study,
            frozen_until=self.frozen,
            promote_request=self.promote,
            rollback_request=self.rollback,
            retune_request=self.retune,
        )
        return replace(observed, study=study)

    def _target(self) -> TargetView | None:
        promotion = self.status.promotion
        if self.spec.promotion is None or self.spec.promotion.target is None or promotion is None:
            return None
        if promotion.candidate is None and self.promote is self.rollback is None:
            return None
        failed = "timed out" if self.stuck else ""
        return TargetView("digits-api", self.rolled_to, not (self.stuck or self.slow), failed, self.problem)


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
    life.check = StagingView()
    life.looks()
    assert (life.state, life.moves) == ("Staging", [])
    life.check = StagingView("Complete")
    life.looks()
    assert (life.state, life.moves) == ("Stable", names(life))


def test_a_check_that_fails_keeps_the_parameters_out_and_says_why() -> None:
    life = Life(staging=CHECK)
    life.verifies()
    life.look()
    life.check = StagingView("Failed", "Job has reached the specified backoff limit")
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
    life.check = StagingView("Complete")
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


EVENTS = st.lists(
    st.sampled_from(["better", "luck", "rollback", "promote", "again", "stuck", "free", "look", "crash", "degraded"]),
    max_size=30,
)


@given(EVENTS, st.sampled_from(["Automatic", "Manual"]), st.sampled_from([None, DEPLOYMENT]))
def test_whatever_happens_production_is_what_the_status_says_and_no_step_is_told_twice(
    events: Sequence[str], mode: str, target: Any
) -> None:
    """The operator may end at any moment; then the same things are done again, and kept once."""
    life = Life(mode, target=target) if target else Life(mode)
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
            case _:
                life.look(crash=event == "crash")
    life.stuck = False
    life.looks(8)
    now, moves = life.promotion, life.moves
    assert not now.is_moving
    if now.stable is not None:
        assert moves[-1] == now.stable
        assert target is None or life.rolled_to == now.stable
    assert now.previous is None or now.previous != now.stable
    assert now.steps >= len(life.record)
    steps = life.promotion.steps
    life.looks(10)
    assert life.promotion.steps == steps and life.moves == moves
