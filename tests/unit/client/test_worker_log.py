"""Which lines of a worker's log are a trial's."""

import json

from tuning_client.worker_log import lines_of_trial


def begins(trial: int, study: str = "local/digits/r1") -> str:
    return json.dumps({"event": "trial begins", "trial": trial, "study": study})


def test_a_trial_has_what_stands_between_its_begin_and_the_next() -> None:
    lines = ["loading", begins(3), "epoch 1", begins(4), "epoch 1 of another", begins(3), "epoch 1 again"]
    assert list(lines_of_trial(lines, 3)) == ["epoch 1", "epoch 1 again"]


def test_the_run_of_a_verification_is_not_the_trial_of_its_number() -> None:
    lines = [begins(3), "of the search", begins(3, "local/digits/r1/verification-60"), "of the verification"]
    assert list(lines_of_trial(lines, 3)) == ["of the search"]
