"""Studies that learn from those before them in their namespace."""

from __future__ import annotations

from typing import Any

import pytest

from builders import make_study, real
from integration.operator_fixtures import Studies
from integration.studies import alert_workers, quick_study
from tuning_study.attributes import POINT_ATTRIBUTE

Object = dict[str, Any]


def svm(name: str, data: str, **warm_start: Any) -> Object:
    return make_study(
        name,
        parameters=[real("C", 1e-3, 1e3, scale="Log")],
        objective={
            "sklearn": {
                "steps": [{"class": "sklearn.preprocessing.StandardScaler"}, {"class": "sklearn.svm.SVC"}],
                "dataset": {"load": data},
                "crossValidation": {"folds": 2},
            }
        },
        budget={"trials": 6},
        workers=alert_workers(2),
        warmStart={"portfolio": "None"} | warm_start,
    )


def test_the_best_of_a_study_that_is_named_are_tried_first_once_it_is_there(studies: Studies) -> None:
    later = studies(quick_study("later", warmStart={"studies": [{"name": "earlier", "top": 6}]}))
    later.wait_for_condition("Running", "False", "EarlierStudyMissing")
    later.wait_for_event("EarlierStudyMissing", "no study earlier in this namespace's store, nor any other")
    assert not later.exists("ConfigMap", "later-r1")

    earlier = studies(quick_study("earlier"))
    earlier.wait_until("Complete")
    later.change(suspend=False, budget={"trials": 8})  # any change is a look; without one it comes within a minute
    later.wait_until("Complete")

    best = sorted(trial.params["x"] for trial in earlier.history())
    assert [trial.params["x"] for trial in later.history()[:6]] == pytest.approx(best)


def test_workers_choose_from_the_history_of_their_namespace(studies: Studies) -> None:
    for data in ("wine", "iris"):
        studies(svm(data, data)).wait_until("Complete")

    study = studies(svm("cancer", "breast_cancer", history={"neighbours": 2, "portfolio": 0}))
    study.wait_until("Complete")

    history = study.history()
    given = [trial.system_attrs[POINT_ATTRIBUTE] for trial in history if POINT_ATTRIBUTE in trial.system_attrs]
    assert [set(point) for point in given] in ([{"C"}], [{"C"}, {"C"}])  # one, if both found the same best
    assert [trial.params for trial in history[: len(given)]] == given
    assert study.status["trials"]["summary"] == "6/6"
