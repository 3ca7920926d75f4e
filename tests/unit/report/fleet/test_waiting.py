"""What waits in a study, for whom, until when, and what to write."""

from datetime import datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, Object
from fleets import DAY, HOUR, degraded, drift, episode, gates, healthy, iso, make_watched, metric, promotion, round_
from tuning_report.fleet.waiting import BY_ITSELF, FOR_SOMEBODY, Waiting, what_waits
from tuning_report.fleet.watched import WatchedStudy
from tuning_study.api.status import Suppression

ASKS: Object = {"production": {}, "retune": {"triggers": ["Degradation"], "cooldown": "6h", "maxPerDay": 2}}
ILL = [metric(NOW, 0.87, 1.2, since=NOW - HOUR)]


def only(study: WatchedStudy, now: datetime = NOW) -> Waiting:
    (found,) = what_waits(study, now)
    return found


def degraded_study(
    *, frozen_until: datetime | None = None, retune: Object | None = None, **of_episode: Any
) -> WatchedStudy:
    """With an episode that began an hour ago."""
    told = {**(retune or {}), "episode": episode(NOW - HOUR, **of_episode)}
    return make_watched(spec=ASKS, frozen_until=frozen_until, production=ILL, retune=told)


def no_better(hours_ago: float, number: int = 2) -> Object:
    return round_(number, NOW - hours_ago * HOUR, "Degradation", outcome="NoBetter")


class TestARoundForWhatIsWrong:
    def test_that_nothing_may_ask_for_waits_for_somebody(self) -> None:
        found = only(degraded_study(waitsFor="NotATrigger"))
        assert (found.kind, found.needs_somebody, found.since) == ("NotATrigger", True, NOW - HOUR)
        assert found.do == 'retune: {triggers: [Degradation]}, or: tuning retune digits -n team --reason "…"'
        assert "accuracy 0.874" in found.message

    def test_of_a_suspended_study_waits_for_somebody(self) -> None:
        assert only(degraded_study(waitsFor="Suspended")).do == "tuning resume digits -n team"

    def test_in_its_cooldown_waits_until_that_ends(self) -> None:
        found = only(degraded_study(waitsFor="Cooldown", retune={"lastTime": iso(NOW - 2 * HOUR)}))
        assert (found.kind, found.needs_somebody, found.until) == ("Cooldown", False, NOW + 4 * HOUR)

    def test_whose_cooldown_is_over_does_not_wait_for_it(self) -> None:
        retune = {"lastTime": iso(NOW - 7 * HOUR)}
        assert what_waits(degraded_study(waitsFor="Cooldown", retune=retune), NOW) == []

    def test_over_the_daily_limit_waits_until_one_of_them_is_a_day_ago(self) -> None:
        starts = [iso(NOW - hours * HOUR) for hours in (20, 10, 3)]
        found = only(degraded_study(waitsFor="DailyLimit", retune={"recent": starts}))
        assert (found.kind, found.until) == ("DailyLimit", NOW + 14 * HOUR)

    def test_may_wait_for_rounds_of_other_studies(self) -> None:
        assert only(degraded_study(waitsFor="RoundsLimit")).kind == "RoundsLimit"

    def test_that_runs_is_told(self) -> None:
        runs = round_(2, NOW, "Alert", completionTime=None)
        study = make_watched(state="Running", rounds=[runs], retune={"episode": episode(NOW, rounds=1)})
        assert only(study).kind == "RoundRunning"

    def test_after_one_that_was_no_better_waits_for_twice_the_cooldown(self) -> None:
        study = make_watched(spec=ASKS, rounds=[no_better(5)], retune={"episode": episode(NOW - DAY, rounds=1)})
        found = only(study)
        assert found.kind == "Cooldown"
        assert found.until == NOW + 7 * HOUR

    def test_after_one_that_may_have_helped_waits_for_observations(self) -> None:
        improved = round_(2, NOW - 5 * HOUR, "Degradation", outcome="Improved")
        study = make_watched(rounds=[improved], retune={"episode": episode(NOW - DAY, rounds=1)})
        assert only(study).kind == "Settling"

    def test_after_three_that_did_not_help_waits_for_somebody(self) -> None:
        found = only(make_watched(rounds=[no_better(90)], retune={"episode": episode(NOW - DAY, rounds=3)}))
        assert (found.kind, found.needs_somebody) == ("RoundsUsedUp", True)

    def test_waits_until_the_evidence_is_enough_for_it(self) -> None:
        unsure = {**ILL[0], "confirmed": False}
        study = make_watched(spec=ASKS, production=[unsure], retune={"episode": episode(NOW - HOUR)})
        assert only(study).kind == "Confirming"

    def test_that_is_due_does_not_wait(self) -> None:
        assert what_waits(degraded_study(), NOW) == []


class TestARequestThatWasRefused:
    @pytest.mark.parametrize("hours_ago", [2, 6])
    def test_is_told_while_the_cooldown_lasts(self, hours_ago: int) -> None:
        retune = {"lastOutcome": "Cooldown", "lastTime": iso(NOW - hours_ago * HOUR), "reason": "new data"}
        found = what_waits(make_watched(spec=ASKS, retune=retune), NOW)
        assert [(one.kind, one.until) for one in found] == ([("Cooldown", NOW + 4 * HOUR)] if hours_ago == 2 else [])
        if found:
            assert "'new data' was refused" in found[0].message
            assert found[0].do == 'then: tuning retune digits -n team --reason "…"'


class TestAFrozenStudy:
    def test_is_told_with_what_it_holds_up(self) -> None:
        found = only(degraded_study(waitsFor="Frozen", frozen_until=NOW + HOUR))
        assert (found.kind, found.until, found.do) == ("Frozen", NOW + HOUR, "tuning unfreeze digits -n team")
        assert found.message.startswith("it holds up a round for accuracy 0.874")

    def test_for_ever_has_no_end(self) -> None:
        forever = datetime.max.replace(tzinfo=NOW.tzinfo)
        assert only(make_watched(frozen_until=forever)).until is None

    def test_of_yesterday_is_not_frozen(self) -> None:
        assert what_waits(make_watched(frozen_until=NOW - DAY), NOW) == []

    def test_tells_of_a_gate_that_is_shut_by_it_once(self) -> None:
        told = promotion(NOW, "Gated", candidate="digits-params-r3", gates=gates(NotFrozen=("Refused", "frozen")))
        found = only(make_watched(frozen_until=NOW + HOUR, promotion=told))
        assert (found.kind, found.message) == ("Frozen", "it holds up digits-params-r3 on its way to production")


class TestAPromotion:
    def test_that_only_lacks_a_word_waits_for_somebody(self) -> None:
        told = promotion(NOW, "Gated", gates=gates(Approved=("Unknown", "waits for `tuning promote`")))
        found = only(make_watched(promotion=told))
        assert (found.kind, found.needs_somebody) == ("Approval", True)
        assert found.do == 'tuning promote digits -n team --reason "…"'

    @pytest.mark.parametrize(
        ("shut", "options"),
        [
            (["Better"], ""),
            (["Better", "Approved"], ""),
            (["NotRolledBack"], "--again "),
            (["Verified"], None),
        ],
    )
    def test_that_a_gate_keeps_out_tells_who_may_decide_otherwise(self, shut: list[str], options: str | None) -> None:
        gates_shut = gates(**dict.fromkeys(shut, ("Refused", "why")))
        found = only(make_watched(promotion=promotion(NOW, "Gated", gates=gates_shut)))
        decides = f'to decide otherwise: tuning promote digits -n team {options}--reason "…"'
        assert (found.kind, found.needs_somebody, found.do) == ("Gated", False, "" if options is None else decides)

    @pytest.mark.parametrize(
        ("state", "want"),
        [
            ("Held", "Held"),
            ("RolledBack", "RolledBack"),
            ("Staging", "Staging"),
            ("Canary", "Moving"),
            ("Promoting", "Moving"),
            ("RollingBack", "Moving"),
        ],
    )
    def test_is_told_by_its_state(self, state: str, want: str) -> None:
        assert only(make_watched(promotion=promotion(NOW, state, message="why"))).kind == want


class TestObservations:
    @pytest.mark.parametrize(
        ("source", "do"),
        [
            ({"push": {"window": "30m"}}, "send a value every 30m: tuning observe digits -n team accuracy=…"),
            ({"prometheus": {"query": "model_accuracy"}}, "ask Prometheus: model_accuracy"),
            (
                {"predictions": {"score": "Accuracy"}},
                "send predictions and labels to the exporter's /predictions; a window is 1h",
            ),
        ],
    )
    def test_that_are_missed_tell_how_they_come(self, source: Object, do: str) -> None:
        watches = {"metrics": [{"name": "accuracy", "source": source}]}
        stale = metric(NOW) | {"stale": True}
        found = only(make_watched(spec={"production": watches}, production=[stale]))
        assert (found.kind, found.do) == ("Unobserved", do)

    def test_that_come_are_not_told(self) -> None:
        assert what_waits(make_watched(production=[metric(NOW)]), NOW) == []

    @pytest.mark.parametrize(("triggers", "want"), [([], ["Drifted"]), (["Drift"], [])])
    def test_drift_waits_for_somebody_unless_it_asks_for_a_round_itself(
        self, triggers: list[str], want: list[str]
    ) -> None:
        study = make_watched(spec={"retune": {"triggers": triggers}}, drift=drift(NOW, 0.5))
        assert [found.kind for found in what_waits(study, NOW)] == want


@pytest.mark.parametrize(("kind", "want"), [("Stalled", "Stalled"), ("Reconciling", "Queued")])
def test_conditions_are_told_in_their_own_words(kind: str, want: str) -> None:
    told = {"type": kind, "status": "True", "reason": "Queued", "message": "no room", "lastTransitionTime": iso(NOW)}
    found = only(make_watched(conditions=[told]))
    assert (found.kind, found.message, found.since) == (want, "Queued: no room", NOW)


def test_what_needs_somebody_comes_first() -> None:
    kinds = [found.kind for study in degraded(NOW) for found in what_waits(study, NOW)]
    assert {*kinds} >= {"RoundsUsedUp", "Approval", "Held", "Cooldown", "Frozen", "Gated", "RoundsLimit"}
    for study in degraded(NOW):
        told = [found.needs_somebody for found in what_waits(study, NOW)]
        assert told == sorted(told, reverse=True)


def test_nothing_waits_where_all_is_well() -> None:
    assert [what_waits(study, NOW) for study in healthy(NOW)] == [[]] * 5


@given(
    waits_for=st.one_of(st.none(), st.sampled_from(get_args(Suppression))),
    tried=st.integers(0, 3),
    outcome=st.sampled_from(["Improved", "NoBetter", "Failed", None]),
    frozen=st.booleans(),
    state=st.sampled_from(["Pending", "Running", "Verifying", "Suspended", "Complete", "Failed"]),
)
def test_whatever_is_wrong_is_told_or_due(
    waits_for: str | None, tried: int, outcome: str | None, frozen: bool, state: str
) -> None:
    """A degraded study is never silent but when its round is to start at this moment."""
    ended = [round_(2, NOW - HOUR, "Degradation", outcome=outcome)]
    study = make_watched(
        spec=ASKS,
        frozen_until=NOW + HOUR if frozen else None,
        state=state,
        production=ILL,
        rounds=ended,
        retune={"episode": episode(NOW - HOUR, rounds=tried, **({"waitsFor": waits_for} if waits_for else {}))},
    )
    found = what_waits(study, NOW)
    over = (None, "Duplicate", "Frozen", "RoundRunning", "Cooldown", "DailyLimit")  # what it waited for last
    due = tried == 0 and waits_for in over
    assert found or due
    assert all(one.kind in FOR_SOMEBODY + BY_ITSELF for one in found)
