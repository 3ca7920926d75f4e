"""`tuning promote`, `rollback`, `export`, `history` and `best --for production`: what they ask, and what they tell."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from builders import NOW
from tuning_client import production_history
from tuning_client.cluster import exporting, promoting
from tuning_client.exceptions import ClusterError, TuningError, WrongUse
from tuning_kube.names import PROMOTE_ANNOTATION, ROLLBACK_ANNOTATION
from tuning_operator.objects import parameters_config_map
from tuning_report.recorded import verified_of
from tuning_store.record import Line
from tuning_study.promotion.parameters import VerifiedParameters
from tuning_study.promotion.requests import PersonsRequest, unanswered
from tuning_study.requests import annotation_digest

FIRST = VerifiedParameters("digits", 1, {"C": 0.5}, {"trial": 3, "metrics": {"accuracy": 0.9}})
SECOND = VerifiedParameters("digits", 2, {"C": 2.0, "kernel": "rbf"}, {"trial": 4, "metrics": {"accuracy": 0.95}})


class Cluster:
    """One study, and an operator that does as `answer` says once it has been asked."""

    def __init__(self, mode: str | None = "Manual", **answer: Any) -> None:
        self.spec = {"promotion": {"mode": mode}} if mode is not None else {}
        self.answer: dict[str, Any] = {"state": "Stable", "message": f"{SECOND.name} is in production"} | answer
        self.asked: dict[str, str] = {}
        self.silent = False
        objects = [parameters_config_map.of_round(each, "team", "uid-1") for each in (FIRST, SECOND)]
        objects.append(parameters_config_map.in_production(SECOND, "team"))
        self.config_maps = {body["metadata"]["name"]: body for body in objects}

    def study(self, name: str) -> dict[str, Any]:
        rounds = [{"round": each.round, "parameters": each.name} for each in (FIRST, SECOND)]
        promotion: dict[str, Any] = {"stable": SECOND.name} | (self.answer if self.asked else {})
        if not self.silent:
            for annotation, field in ((PROMOTE_ANNOTATION, "lastPromote"), (ROLLBACK_ANNOTATION, "lastRollback")):
                if annotation in self.asked:
                    promotion[field] = annotation_digest(self.asked[annotation])
        return {"metadata": {"name": name}, "spec": self.spec, "status": {"rounds": rounds, "promotion": promotion}}

    def change(self, name: str, patch: Mapping[str, Any]) -> dict[str, Any]:
        self.asked |= patch["metadata"]["annotations"]
        return {}

    def who_am_i(self) -> str:
        return "ada"

    def config_map(self, name: str) -> Mapping[str, Any]:
        return self.config_maps[name]

    def request(self, annotation: str) -> PersonsRequest:
        found = unanswered(self.asked[annotation], None)
        assert found is not None
        return found


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning_client.cluster.promoting._LOOKS_EVERY", 0)


def test_a_promotion_says_who_why_and_which_round() -> None:
    cluster = Cluster()
    told = promoting.ask(cluster, "digits", "promote", patience=5, reason="looks fine", round=2, again=True)
    assert told == f"{SECOND.name} is in production"
    asked = cluster.request(PROMOTE_ANNOTATION)
    assert (asked.by, asked.reason, asked.round, asked.again) == ("ada", "looks fine", 2, True)


def test_a_rollback_says_what_is_in_production_again() -> None:
    cluster = Cluster(state="RolledBack", message=f"{FIRST.name} is in production again")
    assert promoting.ask(cluster, "digits", "rollback", patience=5) == f"{FIRST.name} is in production again"
    assert cluster.request(ROLLBACK_ANNOTATION).who == "ada"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"answer": "ada: not done, as round 7 has no verified parameters"}, "round 7 has no verified parameters"),
        ({"state": "Held", "message": "TargetMissing: there is no Deployment"}, "Held: TargetMissing"),
    ],
)
def test_what_was_not_done_is_an_error(answer: dict[str, Any], told: str) -> None:
    with pytest.raises(TuningError, match=told):
        promoting.ask(Cluster(**answer), "digits", "promote", patience=5)


@pytest.mark.parametrize("mode", [None, "None"])
def test_a_study_that_promotes_nothing_is_told_what_to_add(mode: str | None) -> None:
    with pytest.raises(WrongUse, match=r"add `promotion: \{mode: Manual\}`"):
        promoting.ask(Cluster(mode), "digits", "promote", patience=5)


def test_an_operator_that_is_silent_is_told() -> None:
    cluster = Cluster()
    cluster.silent = True
    with pytest.raises(ClusterError, match="is the operator running"):
        promoting.ask(cluster, "digits", "promote", patience=0.05)


@pytest.mark.parametrize("state", ["Candidate", "Staging", "Promoting"])
def test_what_takes_longer_than_one_waits_is_told(state: str) -> None:
    with pytest.raises(ClusterError, match="under way for 0s: rolling"):
        promoting.ask(Cluster(state=state, message="rolling"), "digits", "promote", patience=0.05)


@pytest.mark.parametrize(
    ("written", "round", "again"),
    [
        ("r3", 3, False),
        ("3", 3, False),
        ("now", None, False),
        ('{"round": 4, "again": true}', 4, True),
        ("{}", None, False),
    ],
)
def test_an_annotation_by_hand_may_be_anything(written: str, round: int | None, again: bool) -> None:
    asked = unanswered(written, None)
    assert asked is not None and (asked.round, asked.again, asked.by) == (round, again, "a person")
    assert unanswered(written, asked.digest) is None


def test_what_is_in_production_is_told_with_its_round() -> None:
    assert exporting.in_production(Cluster(), "digits") == {
        "round": 2,
        "trial": 4,
        "metrics": {"accuracy": 0.95},
        "parameters": {"C": 2.0, "kernel": "rbf"},
    }


def test_an_export_is_a_manifest_of_ones_own() -> None:
    made = exporting.config_map(Cluster(), "digits", 1)
    assert made["metadata"]["name"] == "digits-params-stable"
    assert made["data"]["TUNING_PARAM_C"] == "0.5"
    assert "ownerReferences" not in made["metadata"]
    assert "app.kubernetes.io/managed-by" not in made["metadata"]["labels"]


def test_a_round_that_is_not_verified_names_those_that_are() -> None:
    with pytest.raises(WrongUse, match="round 7 are not verified, or no longer kept; those of 1, 2 are"):
        exporting.config_map(Cluster(), "digits", 7)


def line(kind: str, minutes: int, **evidence: Any) -> Line:
    return Line(kind, f"{kind} {evidence}", NOW + timedelta(minutes=minutes), "ada", evidence)


LINES = [
    Line("Verified", f"round 1: {FIRST.name}", NOW, "the operator", FIRST.document()),
    line("Promoted", 1, stable=FIRST.name),
    line("Promoting", 5, stable=FIRST.name, candidate=SECOND.name),
    line("Promoted", 6, stable=SECOND.name),
    line("RolledBack", 20, stable=FIRST.name),
]


@pytest.mark.parametrize(
    ("minutes", "stable"),
    [(0, None), (1, FIRST.name), (5, FIRST.name), (6, SECOND.name), (19, SECOND.name), (21, FIRST.name)],
)
def test_what_was_in_production_at_a_moment(minutes: int, stable: str | None) -> None:
    found = production_history.serving_at(LINES, NOW + timedelta(minutes=minutes))
    assert (found.evidence["stable"] if found is not None else None) == stable


def test_the_parameters_of_then_come_from_the_record() -> None:
    assert verified_of(LINES, FIRST.name)["parameters"] == {"C": 0.5}
    assert verified_of(LINES, SECOND.name) == {}


def test_why_they_came_to_be_comes_from_the_record() -> None:
    about = {"trial": 7, "trigger": "Alert", "reason": "accuracy is 0.7", "comparison": "accuracy 0.8 → 0.9"}
    found = VerifiedParameters("digits", 2, {"C": 2.0}, about)
    lines = [Line("Verified", f"round 2: {found.name}", NOW, "the operator", found.document())]
    why = "trial 7 of round 2 (Alert: accuracy is 0.7); accuracy 0.8 → 0.9"
    assert production_history.origin(lines, found.name) == why
    assert production_history.origin([], found.name) == ""


@pytest.mark.parametrize(("number", "study"), [(None, "team/digits/b/r1"), (2, "team/digits/a/r2"), (9, None)])
def test_the_record_knows_the_rounds_of_a_study_that_is_gone(number: int | None, study: str | None) -> None:
    """Of studies of one name the last: here another was made under the name."""
    begun = [("team/digits/a/r1", 1), ("team/digits/a/r2", 2), ("team/digits/b/r1", 1)]
    lines = [
        line("RoundStarted", minutes, round=round, optunaStudy=name) for minutes, (name, round) in enumerate(begun)
    ]
    assert production_history.study_of_round(lines, number) == study


def test_a_line_for_people_and_for_programs() -> None:
    [row] = production_history.rows(LINES[1:2])
    assert (row["time"], row["what"], row["who"]) == ("2026-03-08 12:01:00", "Promoted", "ada")
    [document] = production_history.documents(LINES[1:2])
    assert datetime.fromisoformat(document["time"]).astimezone(UTC) == NOW + timedelta(minutes=1)
    assert document["evidence"] == {"stable": FIRST.name}
