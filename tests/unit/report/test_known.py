"""What is told of points that were known before the first trial."""

from dataclasses import replace
from typing import Any

from optuna.trial import TrialState

from builders import NOW
from tuning_report.document import document
from tuning_report.known import known_lines, known_rows
from tuning_report.round_history import History
from tuning_report.text import lines
from unit.report import histories

LOSS = [{"name": "loss", "direction": "Minimize"}]
CONTROL = {"studies": 4, "nearest": 0.125, "random": 0.5, "portfolio": 0.25}


def history(control: Any = None) -> History:
    """Trial 1 tried the first of two known points; the second waits."""
    found = histories.history(LOSS, [histories.trial(0, [0.5]), histories.trial(1, [0.25])])
    suggestions = [
        {"point": {"x": 0.1, "kind": None}, "reason": "best of wine, whose data are 0.4 apart"},
        {"point": {"x": 0.2}, "reason": "number 1 of the built-in portfolio"},
    ]
    return replace(found, known={"suggestions": suggestions, "control": control}, known_from=1)


def test_each_point_has_its_trial_and_what_it_came_to() -> None:
    given, first, second = known_rows(history())
    assert (given["trial"], given["reason"], given["values"]) == (0, "given in warmStart", {"loss": 0.5})
    assert (first["trial"], first["values"], first["parameters"]) == (1, {"loss": 0.25}, {"x": 0.1, "kind": None})
    assert (second["trial"], second["state"], second["values"]) == (2, "waiting", {})


def test_what_failed_has_no_value() -> None:
    found = histories.history(LOSS, [histories.trial(0, [0.5]), histories.trial(1, None, TrialState.FAIL)])
    told = "\n".join(known_lines(replace(found, known=history().known, known_from=1)))
    assert "1       failed   x=0.1 kind=null" in told


def test_a_retuning_round_has_those_of_the_round_before() -> None:
    [row] = known_rows(replace(history(), known={}, known_from=1, goes_on=True))
    assert row["reason"] == "best of the round before"


def test_a_terminal_shows_them_with_their_reasons() -> None:
    told = "\n".join(lines(history()))
    assert "1       0.25   x=0.1 kind=null   best of wine, whose data are 0.4 apart" in told
    assert "2       -      x=0.2             number 1 of the built-in portfolio" in told
    assert "control" not in told


def test_the_control_stands_beside_them() -> None:
    told = "\n".join(lines(history(CONTROL)))
    assert "each of the 4 earlier studies in turn" in told
    assert "0.12 by the most similar data, 0.50 by a random other study, 0.25 by the portfolio" in told


def test_the_page_has_them() -> None:
    known = document(history(CONTROL), NOW)["head"]["known"]
    assert [row["parameters"] for row in known["rows"]] == ["", "x=0.1 kind=null", "x=0.2"]
    assert "0.50 by a random other study" in known["control"]


def test_where_nothing_was_known_nothing_is_told() -> None:
    found = histories.history(LOSS, [histories.trial(0, [0.5])])
    assert "known before" not in "\n".join(lines(found))
    assert document(found, NOW)["head"]["known"] == {"rows": [], "control": ""}
