"""A selection as the command line has it."""

import pytest

from builders import MAXIMIZE, MINIMIZE, make_spec
from tuning_client.exceptions import WrongUse
from tuning_client.selection_text import parse
from tuning_study.api.selection import Selection

SPEC = make_spec(metrics=[MAXIMIZE, MINIMIZE, {"name": "f1"}])


@pytest.mark.parametrize(
    ("text", "selection"),
    [
        ("knee", Selection(policy="Knee")),
        ("Knee", Selection(policy="Knee")),
        ("weighted:accuracy=1,latencyMs=0.2", Selection(policy="Weighted", weights={"accuracy": 1, "latencyMs": 0.2})),
        (
            "lexicographic:accuracy~1%,latencyMs",
            Selection(policy="Lexicographic", order=["accuracy", "latencyMs"], tolerance={"accuracy": 0.01}),
        ),
        (
            "lexicographic:latencyMs~0.2",
            Selection(policy="Lexicographic", order=["latencyMs"], tolerance={"latencyMs": 0.2}),
        ),
        (
            "aspiration: accuracy=0.95, latencyMs=20",
            Selection(policy="AchievementScalarizing", aspiration={"accuracy": 0.95, "latencyMs": 20}),
        ),
    ],
)
def test_a_text_is_a_selection(text: str, selection: Selection) -> None:
    assert parse(text, SPEC) == selection


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("best", "write knee, weighted:NAME=1"),
        ("knee:accuracy", "write knee"),
        ("weighted", "write knee"),
        ("weighted:accuracy", "'accuracy' has no number"),
        ("lexicographic:accuracy~some", "'~some' has no number"),
        ("lexicographic:f1", "order names what is no objective"),
        ("weighted:accuracy=-1", "0 or more"),
        ("aspiration:accuracy=0.9", r"and for no other metric.*\(latencyMs\)"),
    ],
)
def test_a_wrong_one_says_what_to_write(text: str, why: str) -> None:
    with pytest.raises(WrongUse, match=why):
        parse(text, SPEC)


def test_a_study_with_one_objective_has_nothing_to_choose() -> None:
    with pytest.raises(WrongUse, match="a selection chooses among several objectives"):
        parse("knee", make_spec())
