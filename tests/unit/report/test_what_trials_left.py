"""User attributes and artefacts of trials come through to whoever asks for the best, or for all."""

from tuning_client import overview
from tuning_report.format import table
from tuning_report.round_history import History, rows, table_rows
from tuning_report.text import best_lines

from .histories import history, trial

LOSS = [{"name": "loss", "direction": "Minimize"}]
FOLDER = "/runs/digits-r1/trial-"


def studied(trials: int = 5) -> History:
    """The more, the better; each left a file and an attribute."""
    return history(
        LOSS,
        [
            trial(n, [1.0 - n / 10], user_attrs={"bestEpoch": n, "tuning:artifacts": f"{FOLDER}{n}"})
            for n in range(trials)
        ],
    )


def test_each_trial_has_its_attributes_and_those_that_stay_their_folder() -> None:
    found = rows(made := studied(), made.trials)
    assert [row["attributes"] for row in found] == [{"bestEpoch": n} for n in range(5)]
    assert [row["artifacts"] for row in found] == [None, None, *(f"{FOLDER}{n}" for n in (2, 3, 4))]


def test_the_best_has_them_as_json_and_in_words() -> None:
    told = overview.best_of_history(studied())
    assert told is not None
    assert (told["attributes"], told["artifacts"]) == ({"bestEpoch": 4}, f"{FOLDER}4")
    assert best_lines(studied())[-3:] == ["attributes", "  bestEpoch  4", f"artifacts: {FOLDER}4"]


def test_a_long_attribute_is_cut() -> None:
    (*_, attribute) = best_lines(history(LOSS, [trial(0, [0.5], user_attrs={"history": list(range(1000))})]))
    assert len(attribute) < 250
    assert attribute.endswith("…")


def test_a_table_has_a_column_for_attributes_only_if_there_are_any() -> None:
    with_attributes, without = studied(), history(LOSS, [trial(0, [0.5])])
    assert "bestEpoch=4" in table(table_rows(with_attributes, rows(with_attributes, with_attributes.trials)))
    assert "ATTRIBUTES" not in table(table_rows(without, rows(without, without.trials)))
