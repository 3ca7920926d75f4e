"""What `tuning compare` prints and writes, of histories that never ran. Each trial takes a minute."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from optuna.trial import FrozenTrial, TrialState

from tuning_report import comparison, page
from tuning_report.comparison import Told
from tuning_report.round_history import History
from tuning_study.results.comparison import Comparison
from unit.report.histories import MARKUP, history, trial
from unit.report.test_page import Html

ACCURACY = [{"name": "accuracy", "direction": "Maximize"}]
BEGAN = datetime(2026, 1, 1)


def run(*accuracies: float | None) -> History:
    """None for a trial that was pruned after one report of two."""
    return history(ACCURACY, [_ended(index, accuracy) for index, accuracy in enumerate(accuracies)])


def _ended(index: int, accuracy: float | None) -> FrozenTrial:
    reports = {0: 0.1} if accuracy is None else {0: 0.1, 1: accuracy}
    state, values = (TrialState.PRUNED, None) if accuracy is None else (TrialState.COMPLETE, [accuracy])
    made = trial(index, values, state, intermediate_values=reports)
    made.datetime_start, made.datetime_complete = (BEGAN + timedelta(minutes=index + more) for more in (0, 1))
    return made


def told(
    *seeds: list[History],
    names: tuple[str, ...] = ("None", "Median"),
    part: str = "pruner",
    workers: int = 1,
    budget: int | None = 3,
    left_out: tuple[str, ...] = (),
) -> Told:
    return Told("digits", part, workers, budget, left_out, seeds, names[: len(seeds[0])])


PRUNERS = told(
    [run(0.5, 0.6, 0.9), run(0.5, None, 0.91)],
    [run(0.5, 0.7, 0.8), run(0.5, None, 0.83)],
    [run(0.5, 0.7, 0.7), run(0.5, None, 0.72)],
)


def test_the_first_is_what_the_others_differ_from_and_reports_are_what_a_pruner_saves() -> None:
    assert comparison.lines(PRUNERS)[:13] == [
        "digits: 2 pruners, 3 seeds of 3 trials each, 1 worker; best accuracy, more is better",
        "",
        "PRUNER   ACCURACY [95 %]         − NONE [95 %]                        "
        "           TRIALS   PRUNED   REPORTS   SAVED   TIME",
        "None     0.8 [0.55159, 1.0484]   -                         -          "
        "           3        0%       6         0%      3m00s",
        "Median   0.82 [0.58303, 1.057]   +0.02 [-0.0048, +0.045]   no differen"
        "ce shown   3        33%      5         17%     3m00s",
        "",
        "BEST AFTER A SHARE OF   PRUNER   10%   25%   50%   100%",
        "the trials              None     -     -     0.5   0.8",
        "the trials              Median   -     -     0.5   0.82",
        "the reports             None     -     -     0.5   0.66667",
        "the reports             Median   -     -     0.5   0.82",
        "the time                None     -     -     0.5   0.8",
        "the time                Median   -     -     0.5   0.82",
    ]


def test_of_samplers_reports_say_nothing() -> None:
    text = "\n".join(comparison.lines(told([run(0.5), run(0.6)], part="sampler", budget=1)))
    assert "REPORTS" not in text
    assert "the reports" not in text


@pytest.mark.parametrize(
    ("given", "note"),
    [
        (told([run(0.5), run(0.6)], budget=1), "One seed shows no difference: it may be luck."),
        (
            told(*2 * [[run(0.5), run(0.6), run(0.7)]], names=("A", "B", "C"), budget=1),
            "The 2 differences hold together with 95 %, seed by seed.",
        ),
        (told([run(0.5), run(0.6)], workers=2), "With several workers a seed does not repeat a run exactly"),
        (told([run(0.5), run(0.6)], left_out=("goal",)), "Left out, as it would favour some runs: goal."),
        (told([run(0.5), run(0.6)], budget=None), "The budget is a duration, of which faster trials make more"),
        (told([run(0.5, 0.6, 0.7), run(0.6)]), "Median: 1 of 1 runs ended before their 3 trials."),
        (told([run(0.5), run(None)]), "Median: 1 of 1 runs found no feasible trial, and count in no mean."),
        (told([run(0.5), run(0.6)]), "`tuning delete 'digits-compare-*'` deletes them."),
    ],
)
def test_what_would_mislead_is_told(given: Told, note: str) -> None:
    assert any(note in line for line in comparison.lines(given))


def test_verified_values_are_told_from_those_of_the_search() -> None:
    given = told([run(0.5), run(0.6)])
    runs = {name: [replace(one, verified=0.4) for one in each] for name, each in given.comparison.runs.items()}
    found = Comparison(given.comparison.objectives, runs)
    assert "The best is what verification measured; on the way it is what the search saw." in comparison.notes(
        given, found
    )


def test_scripts_get_every_run() -> None:
    found = json.loads(json.dumps(comparison.data(PRUNERS), allow_nan=False))
    none, median = found["results"]
    assert (none["pruner"], none["difference"], none["verdict"]) == ("None", None, None)
    assert median["difference"]["mean"] == pytest.approx(0.02)
    assert [entry["best"] for entry in median["runs"]] == [0.91, 0.83, 0.72]
    assert median["along"]["reports"]["100%"] == pytest.approx(0.82)


def test_the_page_is_one_file_in_which_nothing_is_taken_for_markup() -> None:
    found = Html(page.frozen_comparison(told([run(0.5), run(0.6)], names=("None", MARKUP)), datetime.now(UTC)))
    assert found.loaded == ["data:,"]
    compared = json.loads(found.document)["compared"]
    assert [entry["pruner"] for entry in compared["results"]] == ["None", MARKUP]
    assert compared["curves"]["trials"][1][-1] == [1.0, 0.6]
