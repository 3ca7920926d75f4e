"""The status as it is read back, whichever version wrote it."""

import pytest

from tuning_study.api.status import read_status


@pytest.mark.parametrize(
    ("entry", "trigger"),
    [
        ({"trigger": "Alert", "reason": "Created"}, "Alert"),
        ({"reason": "Created"}, "Created"),  # as 0.1.0 wrote it, without a trigger
        ({"reason": "SpecChanged"}, "SpecChanged"),
        ({"reason": "accuracy fell"}, "Manual"),
    ],
)
def test_what_began_a_round(entry: dict[str, str], trigger: str) -> None:
    (found,) = read_status({"round": 1, "rounds": [{"round": 1, **entry}]}).rounds
    assert found.began_by == trigger


def test_a_field_that_this_version_cannot_read_is_left_out() -> None:
    status = read_status({"state": "Dreaming", "round": 3})
    assert (status.state, status.round) == ("Pending", 3)
