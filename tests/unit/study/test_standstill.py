from datetime import timedelta

import pytest

from tuning_study.standstill import describe_standstill

ADVICE = "; budget.trialDuration would bound a trial"


@pytest.mark.parametrize(
    ("running", "seconds", "limited", "words"),
    [
        (2, 59, False, ""),
        (2, 60, False, f"2 running, and no trial has ended for 1m{ADVICE}"),
        (2, 119, False, f"2 running, and no trial has ended for 1m{ADVICE}"),
        (1, 3600, True, "1 running, and no trial has ended for 1h"),
        (1, 7 * 24 * 3600, True, "1 running, and no trial has ended for 24h"),
        (0, 60, True, "no trial has run for 1m: workers load the objective, or wait for a trial"),
    ],
)
def test_a_standstill_is_told_in_steps_that_grow(running: int, seconds: int, limited: bool, words: str) -> None:
    assert describe_standstill(running, timedelta(seconds=seconds), limited=limited) == words
