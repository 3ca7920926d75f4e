"""What a plan has recorded of rounds: how each began and ended, and which requests began none."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, make_observation, make_progress, make_spec, make_status
from tuning_operator.observe.observation import Provenance
from tuning_operator.observe.production import Production
from tuning_operator.plan.actions import Record
from tuning_operator.plan.decide import plan
from tuning_operator.plan.draft import Plan
from tuning_store.production import KnownAlert
from tuning_store.record import Line
from tuning_study.api.status import Best, MetricValue, ParameterValue, TuningStudyStatus
from tuning_study.requests import RetuneRequest
from tuning_study.round import ResolvedRound

from .plans import SPEC, ended, kinds, seen

BEST = Best(
    trial=3, metrics=[MetricValue(name="accuracy", value=0.9)], parameters=[ParameterValue(name="x", value="0.5")]
)
ALERTS = make_spec(retune={"triggers": ["Alert"], "cooldown": "6h"})
FIRING = Production(alerts=[KnownAlert("a", "ModelIsBad", "accuracy is 0.8", NOW, NOW, {"value": "0.8"})])


def lines(*plans: Plan) -> list[Line]:
    return [line for each in plans for action in each.actions if isinstance(action, Record) for line in action.lines]


def asks(token: str, **more: Any) -> str:
    return RetuneRequest(token, "new data", **more).to_annotation(token)


class TestTheBeginningOfARound:
    def test_holds_all_that_it_takes_to_repeat_it(self) -> None:
        [line] = lines(plan(make_observation(SPEC, versions={"optuna": "5.0.0"})))
        assert (line.kind, line.actor, line.at) == ("RoundStarted", "the manifest", NOW)
        assert line.message == "round 1 (Created): 10 trials, 3 workers"
        resolved = ResolvedRound.model_validate(line.evidence["resolved"])
        assert (resolved.study, resolved.spec, resolved.versions) == ("team/digits/uid-1/r1", SPEC, {"optuna": "5.0.0"})

    def test_says_who_asked_and_with_what_evidence(self) -> None:
        request = asks("t", evidence={"by": "ada", "accuracy": "0.81"})
        [line] = lines(plan(ended(request=request)))
        assert line.actor == "ada"
        assert (line.evidence["trigger"], line.evidence["reason"]) == ("Manual", "new data")
        assert line.evidence["request"] == {
            "token": "t", "reason": "new data", "evidence": {"by": "ada", "accuracy": "0.81"},
        }  # fmt: skip

    def test_names_the_episode_that_it_answers(self) -> None:
        status = make_status(state="Complete")
        [line] = lines(plan(ended(ALERTS, status=status, production=FIRING)))
        assert line.actor == "an alert"
        assert line.evidence["episode"]["reason"] == "accuracy is 0.8"
        assert line.evidence["alerts"] == [
            {"name": "ModelIsBad", "reason": "accuracy is 0.8", "evidence": {"value": "0.8"}}
        ]

    def test_is_the_same_line_when_it_is_started_again(self) -> None:
        before = plan(make_observation(SPEC))
        again = plan(make_observation(SPEC, status=before.status, now=NOW + timedelta(minutes=1)))
        assert len({line.key for line in lines(before, again)}) == 1

    def test_keeps_little_of_evidence_that_is_endless(self) -> None:
        request = asks("t", evidence={f"fact {number}": "x" * 10_000 for number in range(1_000)})
        [line] = lines(plan(ended(request=request)))
        assert sum(map(len, line.evidence["request"]["evidence"].values())) < 10_000


class TestTheEndOfARound:
    def test_holds_what_came_of_it_and_what_ran_it(self) -> None:
        made_by = Provenance(["worker@sha256:1"], {"numpy": "2.0"}, "rows.csv, SHA-256 ab")
        decided = plan(ended(status=make_status(), best=BEST, provenance=made_by))
        [line] = lines(decided)
        assert (line.kind, line.message) == ("RoundEnded", "round 1: 10 complete, 0 pruned, 0 failed")
        told = line.evidence
        assert (told["succeeded"], told["reason"], told["trials"]["complete"]) == (True, "BudgetUsed", 10)
        assert (told["best"]["trial"], told["best"]["parameters"]) == (3, {"x": "0.5"})
        assert (told["images"], told["versions"], told["data"]) == (
            ["worker@sha256:1"], {"numpy": "2.0"}, "rows.csv, SHA-256 ab",
        )  # fmt: skip

    def test_is_recorded_once(self) -> None:
        done = plan(ended(status=make_status()))
        assert lines(plan(ended(status=done.status))) == []

    def test_is_another_line_when_a_raised_budget_ends_too(self) -> None:
        first = plan(ended(status=make_status()))
        spec = make_spec(budget={"trials": 20}, workers={"replicas": 3})
        second = plan(ended(spec, status=make_status(), progress=make_progress(spec, complete=20)))
        assert [line.kind for line in lines(first, second)] == ["RoundEnded"] * 2
        assert len({line.key for line in lines(first, second)}) == 2


class TestARequestThatStartsNoRound:
    def test_is_recorded_with_its_reason(self) -> None:
        [line] = lines(plan(seen(request=asks("t", evidence={"by": "ada"}))))
        assert (line.kind, line.actor) == ("RetuneSuppressed", "ada")
        assert line.message == "the request 't' (new data) starts no round: RoundRunning"
        assert line.evidence["outcome"] == "RoundRunning"

    def test_of_an_episode_is_one_line_however_long_the_alert_fires(self) -> None:
        """The alert is there at each look for a week, and the reason against it comes and goes."""
        status: TuningStudyStatus = make_status()
        found: list[Line] = []
        for minute in range(7 * 24 * 60):
            room = minute % 7 != 0
            decided = plan(
                seen(ALERTS, status=status, production=FIRING, now=NOW + timedelta(minutes=minute), room=room)
            )
            status, found = decided.status, [*found, *lines(decided)]
        assert [line.evidence["outcome"] for line in found] == ["RoundRunning"]

    @pytest.mark.parametrize("trigger", ["Manual", "Alert", "a trigger that nobody knows"])
    def test_of_a_program_that_asks_each_minute_is_a_line_a_day(self, trigger: str) -> None:
        status: TuningStudyStatus = make_status()
        found: list[Line] = []
        for minute in range(0, 3 * 24 * 60, 5):
            now = NOW + timedelta(minutes=minute)
            decided = plan(seen(ALERTS, status=status, request=asks(f"t{minute}", trigger=trigger), now=now))
            status, found = decided.status, [*found, *lines(decided)]
        assert len(found) == 3 * 24 * 12
        assert len({line.key for line in found}) == 4, "from noon to noon: four dates"

    @given(st.lists(st.text(max_size=30), min_size=1, max_size=40))
    def test_fills_no_table_with_triggers_that_an_annotation_makes_up(self, triggers: list[str]) -> None:
        found = [
            line
            for number, trigger in enumerate(triggers)
            for line in lines(plan(seen(request=asks(f"t{number}", trigger=trigger))))
        ]
        assert len({line.key for line in found}) <= 3


def test_a_round_is_recorded_after_it_is_there_and_before_its_workers() -> None:
    """A line about a round that could not be started would be false."""
    decided = plan(make_observation(SPEC))
    assert kinds(decided) == ["StartRound", "Record", "StartWorkers"]


def test_a_look_at_a_round_that_goes_on_records_nothing() -> None:
    observed = seen()
    assert lines(plan(observed), plan(replace(observed, now=NOW + timedelta(hours=1)))) == []
