import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuning_report import document
from tuning_report.document import unpacked
from tuning_report.document_format import Document, NamedColumn
from tuning_report.round_history import History
from tuning_study.attributes import FAILURE_ATTRIBUTE, TRACEBACK_ATTRIBUTE
from tuning_study.budget import RoundLimits
from unit.report.histories import MARKUP, history, trial

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
ACCURACY = [{"name": "accuracy", "direction": "Maximize"}]
TWO = [{"name": "loss", "direction": "Minimize"}, {"name": "size", "direction": "Minimize"}]


def told(found: History) -> Document:
    return document.document(found, NOW)


def named(columns: list[NamedColumn]) -> dict[str, list[Any]]:
    return {entry["name"]: unpacked(entry["column"]) for entry in columns}


def suggested(value: Any, kind: Any) -> FrozenTrial:
    return create_trial(values=[1.0], params={"p": value}, distributions={"p": kind})


def test_trials_are_columns_in_the_order_of_their_numbers() -> None:
    found = told(
        history(
            ACCURACY,
            [
                trial(0, [0.5]),
                trial(1, None, TrialState.PRUNED, intermediate_values={0: 0.25}),
                trial(2, None, TrialState.FAIL, user_attrs={"tuning:failure": f"ValueError: {MARKUP}"}),
            ],
        )
    )["trials"]
    assert unpacked(found["number"]) == [0, 1, 2]
    assert unpacked(found["state"]) == ["complete", "pruned", "failed"]
    assert unpacked(found["feasible"]) == ["yes", None, None]
    assert unpacked(found["failure"]) == [None, None, f"ValueError: {MARKUP}"]
    assert unpacked(found["worker"]) == ["worker-0"] * 3
    assert named(found["metrics"]) == {"accuracy": [0.5, 0.25, None]}
    assert named(found["parameters"]) == {
        "x": [0.001, 0.002, 0.003],
        "n": [1, 2, 3],
        "kind": [MARKUP, "null", "rbf"],
    }


@pytest.mark.parametrize(
    ("trials", "values", "marks"),
    [
        ([suggested(0.1, FloatDistribution(0.01, 1, log=True))], [0.1], {"log": True, "whole": False}),
        ([suggested(3, IntDistribution(1, 5))], [3], {"log": False, "whole": True}),
        ([suggested("1", CategoricalDistribution(("1", 1)))], ['"1"'], {}),  # told apart from the number
        ([suggested(1, CategoricalDistribution(("1", 1)))], ["1"], {}),
        ([suggested(True, CategoricalDistribution((True, None)))], ["true"], {}),
        (  # a name of two kinds is told as texts
            [suggested(2, IntDistribution(1, 5)), suggested("auto", CategoricalDistribution(("auto",)))],
            ["2", "auto"],
            {},
        ),
    ],
    ids=["float", "int", "text", "number", "boolean", "two kinds"],
)
def test_a_parameter_is_numbers_or_texts(trials: list[FrozenTrial], values: list[Any], marks: dict[str, bool]) -> None:
    (column,) = told(history(ACCURACY, trials))["trials"]["parameters"]
    assert unpacked(column["column"]) == values
    assert {key: column[key] for key in ("log", "whole") if key in column} == marks


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e300, 5e-324])
def test_numbers_are_told_exactly_which_json_could_not(value: float) -> None:
    found = told(history(ACCURACY, [trial(0, [value])]))
    json.dumps(found, allow_nan=False)
    assert named(found["trials"]["metrics"])["accuracy"] == [value]


def test_times_count_from_the_first_trials_begin() -> None:
    begun = datetime(2026, 1, 1, 9)
    trials = [trial(0, [0.1]), trial(1, [0.2])]
    for index, entry in enumerate(trials):
        entry.datetime_start = begun + timedelta(seconds=2.5 * index)
        entry.datetime_complete = begun + timedelta(seconds=10)
    found = told(history(ACCURACY, trials))["trials"]
    assert unpacked(found["start"]) == [0, 2.5]
    assert unpacked(found["end"]) == [10, 10]


def test_the_head_tells_how_the_round_stands_and_what_was_asked() -> None:
    head = told(history(TWO, [trial(i, [float(i), 5.0 - i]) for i in range(3)] + [trial(0, [9.0, 9.0])]))["head"]
    assert (head["state"], head["reason"]) == ("Complete", "the goal is reached")
    assert (head["best"], head["front"]) == (0, [0, 1, 2])
    assert head["counts"]["complete"] == 4
    assert [entry["name"] for entry in head["asked"]["objectives"]] == ["loss", "size"]
    assert head["asked"]["objective"] == "m:f"
    assert head["written"] == "2026-01-01T01:00:00+00:00"


def test_changes_are_the_same_document_for_a_few_trials() -> None:
    whole = history(ACCURACY, [trial(i, [0.1 * i], intermediate_values={0: 0.1}) for i in range(5)])
    found = document.changes(whole, {3, 1}, NOW)
    assert unpacked(found["trials"]["number"]) == [1, 3]
    assert unpacked(found["reports"]["trial"]) == [1, 3]
    assert found["head"] == told(whole)["head"]


def test_reports_are_those_of_the_best_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_MOST_REPORTS", 6)
    steps = {0: 0.1, 1: 0.2, 2: 0.3}
    trials = [trial(i, [0.1 * i], intermediate_values=steps) for i in range(4)]
    trials.append(trial(4, None, TrialState.PRUNED, intermediate_values=steps))
    found = told(history(ACCURACY, trials))["reports"]
    assert unpacked(found["trial"]) == [2, 2, 2, 3, 3, 3]
    assert (found["told"], found["all"]) == (2, 5)


def test_what_the_objective_noted_is_told_as_json_without_our_own() -> None:
    noted = trial(0, [0.1], user_attrs={"epochs": 3, "tuning:metrics": {"accuracy": 0.1}})
    found = told(history(ACCURACY, [noted]))["trials"]["attributes"]
    assert unpacked(found) == ['{"epochs": 3}']


def test_ten_thousand_trials_of_twenty_parameters_stay_small() -> None:
    kinds: dict[str, BaseDistribution] = {f"p{i}": FloatDistribution(0, 1) for i in range(20)}
    trials = [
        create_trial(
            values=[i / 7], params={name: (i * k) % 97 / 97 for k, name in enumerate(kinds)}, distributions=kinds
        )
        for i in range(10_000)
    ]
    assert len(json.dumps(told(history(ACCURACY, trials)))) < 3_000_000


def test_where_a_trial_failed_is_told() -> None:
    trace = 'File "train.py", line 7, in objective'
    told_by_worker = {FAILURE_ATTRIBUTE: "boom", TRACEBACK_ATTRIBUTE: trace}
    failed = trial(0, None, TrialState.FAIL, user_attrs=told_by_worker)
    found = told(history(ACCURACY, [failed]))["trials"]
    assert (unpacked(found["failure"]), unpacked(found["traceback"])) == (["boom"], [trace])


def test_what_looks_wrong_is_told_of_a_round_that_is_over() -> None:
    failed = history(ACCURACY, [trial(0, [0.5])], failures=[("KeyError: 'age'", 4)])
    (found,) = told(failed)["head"]["diagnosis"]
    assert found["reason"] == "FailuresByCause"
    running = replace(failed, progress=replace(failed.progress, limits=RoundLimits(30, 20)))
    assert told(running)["head"]["diagnosis"] == []
