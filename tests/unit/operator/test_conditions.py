"""Conditions as Kubernetes wants them."""

from datetime import timedelta
from typing import Any

import pytest

from builders import NOW
from tuning_operator.conditions import with_condition
from tuning_operator.reasons import VALID
from tuning_study.api.status import Condition, TuningStudyStatus

LATER = NOW + timedelta(hours=1)


def accepted(status: TuningStudyStatus, value: Any = "True", message: str = "", now: Any = NOW) -> TuningStudyStatus:
    return with_condition(status, "Accepted", value, VALID, message, now)


def of(status: TuningStudyStatus, kind: Any = "Accepted") -> Condition:
    found = status.condition(kind)
    assert found is not None
    return found


@pytest.mark.parametrize(("value", "since"), [("True", NOW), ("False", LATER), ("Unknown", LATER)])
def test_the_transition_time_moves_only_with_the_value(value: str, since: Any) -> None:
    status = accepted(accepted(TuningStudyStatus()), value, "new words", LATER)
    assert (of(status).last_transition_time, of(status).message) == (since, "new words")


def test_a_condition_is_told_once_and_all_in_a_steady_order() -> None:
    status = TuningStudyStatus()
    for kind in ("Suspended", "Accepted", "Running", "Accepted"):
        status = with_condition(status, kind, "True", VALID, "", NOW)
    assert [condition.type for condition in status.conditions] == ["Accepted", "Running", "Suspended"]


def test_a_condition_says_which_generation_it_speaks_of() -> None:
    assert of(accepted(TuningStudyStatus(observed_generation=7))).observed_generation == 7


def test_a_long_message_is_cut_to_what_the_schema_takes() -> None:
    assert len(of(accepted(TuningStudyStatus(), message="x" * 9999)).message) == 1024
