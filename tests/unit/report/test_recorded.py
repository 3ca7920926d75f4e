"""The record's page: from when to when what was in production, and all that was done, with nothing taken for markup."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from builders import NOW
from tuning_report import page, recorded
from tuning_store.record import Line
from tuning_study.promotion.parameters import VerifiedParameters
from unit.report.histories import MARKUP
from unit.report.test_page import Html

ABOUT = {"trial": 3, "metrics": {"accuracy": 0.9}, "trigger": "Alert", "reason": MARKUP, "comparison": "0.8 → 0.9"}
FIRST = VerifiedParameters("digits", 1, {"C": 0.5}, {"trial": 3, "metrics": {"accuracy": 0.8}, "trigger": "Created"})
SECOND = VerifiedParameters("digits", 2, {"C": 2.0}, ABOUT)


def line(kind: str, hours: int, actor: str = "the operator", message: str = "", **evidence: Any) -> Line:
    return Line(kind, message or kind, NOW + timedelta(hours=hours), actor, evidence, "uid-1", "digits")


def verified(found: VerifiedParameters, hours: int) -> Line:
    return line("Verified", hours, message=f"round {found.round}: {found.name}", **found.document())


LINES = [
    line("RoundStarted", 0, "the manifest", round=1, trigger="Created", resolved={"seed": 42}),
    line("RoundEnded", 1, round=1, succeeded=True, best={"metrics": {"accuracy": 0.8}}, images=["worker@sha256:1"]),
    verified(FIRST, 1),
    line("Promoted", 2, stable=FIRST.name),
    line("RoundStarted", 3, "an alert", round=2, trigger="Alert"),
    line("RetuneSuppressed", 4, "an alert", MARKUP, round=2, outcome="RoundRunning"),
    line("RoundEnded", 5, round=2, succeeded=True, outcome="Improved"),
    verified(SECOND, 5),
    line("Promoted", 6, stable=SECOND.name, gates=[{"name": "Better", "verdict": "Passed", "message": "0.8 → 0.9"}]),
    line("RollingBack", 7, "ada", stable=FIRST.name),
    line("RolledBack", 8, stable=FIRST.name),
]


def told(lines: Sequence[Line] = LINES) -> dict[str, Any]:
    return recorded.data_for_page("digits", lines)


def test_what_was_in_production_follows_without_a_gap() -> None:
    spans = told()["serving"]
    assert [span["round"] for span in spans] == [1, 2, 1]
    assert [span["until"] for span in spans] == [spans[1]["since"], spans[2]["since"], None]
    assert spans[1] | {"metrics": {"accuracy": 0.9}, "parameters": {"C": 2.0}, "comparison": "0.8 → 0.9"} == spans[1]


def test_who_asked_for_a_way_back_is_named_and_not_who_did_it() -> None:
    assert [span["actor"] for span in told()["serving"]] == ["the operator", "the operator", "ada"]


def test_a_step_that_changes_nothing_in_production_begins_no_span() -> None:
    again = [*LINES, line("Promoted", 9, stable=FIRST.name), line("Promoted", 10, stable=None)]
    assert len(told(again)["serving"]) == 3


def test_parameters_whose_verification_the_record_does_not_hold_are_named_at_least() -> None:
    [span] = told([line("Promoted", 0, stable="digits-params-r7-1a2b3c4d")])["serving"]
    assert (span["name"], span["round"], span["metrics"]) == ("digits-params-r7-1a2b3c4d", None, {})


def test_a_round_that_has_not_ended_is_open() -> None:
    rounds = told([*LINES, line("RoundStarted", 9, round=3, trigger="Manual")])["rounds"]
    assert [(round["round"], round["outcome"], round["ended"] is None) for round in rounds] == [
        (1, None, False), (2, "Improved", False), (3, None, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "about"),
    [("RoundEnded", "rounds"), ("Promoted", "production"), ("Verified", "production"), ("RetuneSuppressed", "refused")],
)
def test_lines_are_sorted_by_what_they_are_about(kind: str, about: str) -> None:
    assert {entry["about"] for entry in told()["entries"] if entry["kind"] == kind} == {about}


def test_what_is_asked_first_stands_above_the_evidence() -> None:
    started, ended, *_ = told()["entries"]
    assert started["facts"] == {"seed": 42}
    assert ended["facts"] == {"accuracy": 0.8, "images": "worker@sha256:1"}


def test_the_page_is_one_file_in_which_nothing_is_taken_for_markup() -> None:
    found = Html(page.frozen_record("digits", LINES, NOW))
    assert found.loaded == ["data:,"]
    assert len(found.texts["script"]) == 3
    read = json.loads(found.document)["record"]
    assert read["entries"][5]["message"] == MARKUP
    assert read["serving"][1]["reason"] == MARKUP


def test_a_study_of_which_nothing_is_recorded_has_a_page_too() -> None:
    assert json.loads(Html(page.frozen_record("digits", [], NOW)).document)["record"]["entries"] == []
