"""A canary, look by look: what the plan does with each verdict, and with what happens meanwhile."""

from datetime import timedelta
from typing import Any

import pytest

from tuning_operator import reasons
from tuning_operator.plan.actions import DropCanary, Record, StartCanary, TryCanary

from .plans import value
from .promoting_study import Life, better, harm
from .test_plan_promotion import BETTER, CANARY, DEPLOYMENT, names


def beside(mode: str = "Automatic", **canary: Any) -> Life:
    """A study whose second round's parameters serve beside those of the first."""
    life = Life(mode, target=DEPLOYMENT, canary={**CANARY, **canary})
    life.verifies()
    life.asks("promote")
    life.looks()
    life.verifies(BETTER)
    if mode == "Manual":
        life.asks("promote")
    life.looks()
    assert life.state == "Canary"
    return life


def started(life: Life) -> list[str]:
    return [action.parameters for action in life.done if isinstance(action, StartCanary)]


def test_the_first_parameters_have_nothing_to_stand_beside() -> None:
    life = Life(target=DEPLOYMENT, canary=CANARY)
    life.verifies()
    life.looks()
    assert (life.state, started(life)) == ("Stable", [])


def test_the_candidate_serves_beside_stable_and_production_stays_as_it_is() -> None:
    life = beside()
    first, second = names(life)
    assert life.moves == [first] and life.rolled_to == first
    assert started(life) == [second]
    assert life.promotion.canary is not None and life.promotion.canary.verdict == "Unknown"
    assert value(life.status, "Promoted") == ("Unknown", "Canary")


def test_whether_a_canary_can_be_made_is_tried_before_the_status_says_so() -> None:
    life = beside()
    kinds = [type(action) for action in life.done if isinstance(action, TryCanary | StartCanary)]
    assert kinds == [TryCanary, StartCanary]


def test_one_that_is_not_worse_is_promoted_and_its_pods_go() -> None:
    life = beside()
    life.verdict, life.over = better(), True
    life.looks()
    first, second = names(life)
    assert (life.state, life.moves, life.canary) == ("Stable", [first, second], None)
    assert life.events.count(reasons.CANARY_PASSED) == 1
    assert life.promotion.canary is not None and life.promotion.canary.decision == "Promote"


def test_harm_ends_it_at_once_and_stable_was_never_touched() -> None:
    life = beside()
    life.verdict = harm()
    life.looks(20)
    first, second = names(life)
    assert (life.state, life.moves, life.canary) == ("RolledBack", [first], None)
    assert value(life.status, "Promoted") == ("False", "RolledBack")
    [taken] = life.promotion.rolled_back
    assert (taken.parameters, taken.undecided) == (second, False)
    assert life.events.count(reasons.CANARY_HARMED) == 1 and len(started(life)) == 1


def test_harm_is_in_the_status_before_its_pods_are_touched() -> None:
    """An operator that takes over in between would else compare anew what was decided."""
    life = beside()
    life.verdict = harm()
    for _ in range(3):
        decided = life.look()
        if any(isinstance(action, DropCanary) for action in decided.actions):
            assert life.promotion.rolled_back
            return
    pytest.fail("the canary's pods stay")


def test_after_harm_the_same_parameters_take_a_person_and_a_whole_new_canary() -> None:
    life = beside()
    life.verdict = harm()
    life.looks()
    life.asks("promote")
    life.looks()
    assert "--again" in life.promotion.answer and len(started(life)) == 1
    life.verdict, life.over = better(), False
    life.asks("promote", again=True, reason="the fault was elsewhere")
    life.looks(3)
    assert len(started(life)) == 2
    life.over = True
    life.looks()
    assert life.moves == names(life)


def test_nobody_can_tell_is_undecided_and_blames_nobody() -> None:
    life = beside()
    life.over = True
    life.looks(20)
    first, second = names(life)
    assert (life.state, life.moves, life.canary) == ("Held", [first], None)
    assert life.promotion.message.startswith(f"{first} stays in production, and {second} is kept out: undecided: ")
    assert value(life.status, "Promoted") == ("Unknown", "Held")
    assert len(started(life)) == 1
    life.over = False
    life.asks("promote")
    life.looks()
    assert len(started(life)) == 2 and life.state == "Canary"


def test_hold_serves_on_until_a_person_decides_for_it() -> None:
    life = beside(undecided="Hold")
    life.over = True
    life.looks(10)
    assert life.state == "Held" and life.canary is not None and len(life.moves) == 1
    life.asks("promote", reason="good enough")
    life.looks()
    assert life.moves == names(life) and life.canary is None


def test_hold_ends_when_a_person_decides_against_it() -> None:
    life = beside(undecided="Hold")
    life.over = True
    life.looks()
    life.asks("rollback", reason="no")
    life.looks()
    assert (life.state, life.canary, len(life.moves)) == ("RolledBack", None, 1)
    assert life.promotion.rolled_back[-1].reason == "ada: no"


def test_newer_parameters_take_the_place_of_those_that_are_held() -> None:
    life = beside(undecided="Hold")
    life.over = True
    life.looks()
    life.verifies(BETTER)
    life.over = False
    life.looks()
    assert life.state == "Canary" and started(life) == names(life)[1:]
    assert life.canary is not None and life.canary.name.endswith(names(life)[2][-8:])


def test_a_person_stops_a_canary_at_any_time() -> None:
    life = beside()
    life.asks("rollback", reason="complaints")
    life.looks()
    assert (life.state, life.canary, len(life.moves)) == ("RolledBack", None, 1)
    kept = [line for action in life.done if isinstance(action, Record) for line in action.lines]
    assert (kept[-1].kind, kept[-1].actor) == ("CanaryStopped", "ada") and "ada: complaints" in kept[-1].message


def test_a_dry_run_says_what_it_would_have_done_and_promotes_all_the_same() -> None:
    life = beside(dryRun=True)
    life.verdict = harm()
    life.looks()
    assert (life.moves, life.canary) == (names(life), None)
    assert life.promotion.canary is not None and life.promotion.canary.decision == "RollBack"
    assert not life.promotion.rolled_back


def test_pods_that_never_become_ready_are_undecided() -> None:
    life = Life(target=DEPLOYMENT, canary=CANARY)
    life.verifies()
    life.looks()
    life.pods_fail = "ReplicaSet has timed out progressing."
    life.verifies(BETTER)
    life.looks()
    assert life.state == "Held" and "do not become ready: ReplicaSet has timed out" in life.promotion.message
    assert life.promotion.rolled_back[-1].undecided


def test_a_target_that_changes_meanwhile_is_compared_anew() -> None:
    life = beside()
    life.template = "template-2"
    life.looks(4)
    assert life.state == "Canary" and len(started(life)) == 2
    assert life.events.count(reasons.CANARY_RESTARTED) == 1


def test_a_frozen_study_is_promoted_once_it_thaws_and_stopped_at_once() -> None:
    life = beside()
    life.frozen = life.now + timedelta(hours=9)
    life.verdict, life.over = better(), True
    life.looks()
    assert life.state == "Canary" and "frozen" in life.promotion.message
    life.verdict = harm()
    life.looks()
    assert life.state == "RolledBack"


def test_a_canary_that_the_manifest_does_not_ask_for_any_more_goes() -> None:
    life = beside()
    assert life.spec.promotion is not None
    life.spec = life.spec.model_copy(update={"promotion": life.spec.promotion.model_copy(update={"canary": None})})
    life.looks()
    assert (life.state, life.canary, life.moves) == ("Stable", None, names(life))


def test_no_promotion_at_all_leaves_no_pods_behind() -> None:
    life = beside()
    assert life.spec.promotion is not None
    life.spec = life.spec.model_copy(update={"promotion": life.spec.promotion.model_copy(update={"mode": "None"})})
    life.looks()
    assert life.canary is None and len(life.moves) == 1


def test_a_person_s_promotion_goes_through_the_canary_too() -> None:
    life = beside("Manual")
    assert life.moves == names(life)[:1]
    life.verdict, life.over = better(), True
    life.looks()
    assert life.moves == names(life)
