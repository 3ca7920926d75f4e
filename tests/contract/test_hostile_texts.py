"""Texts that break quoting, terminals and pages are stored and read back as they are, in every database."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from builders import make_round
from tuning_store.store import Store
from tuning_store.values import ClaimedTrial
from tuning_study.attributes import FAILURE_ATTRIBUTE

from .conftest import StartRound

TEXTS = {
    "quotes": "'; DROP TABLE trials; --\"`$$",
    "percent and braces": "%s %(x)s {x} {{x}} \\ \\x00 \\u0000",
    "newlines and tabs": "a\nb\r\nc\td",
    "NUL": "a\x00b",
    "escapes": "\x1b[2J\x1b]0;title\x07\x9b31m",
    "markup": "</script><script>alert(1)</script><!--&amp;",
    "beyond the basic plane": "😀é\u202e",
    "half a surrogate pair": "a\ud800b",
    "10 MB": "x" * 10_000_000,
    "empty": "",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_text_is_read_back_as_it_was_stored(store: Store, store_url: str, begin: StartRound, text: str) -> None:
    if store_url.startswith("mysql") and len(text) > 65_535:
        pytest.skip("Optuna keeps choices in a TEXT, which holds 64 KiB there")
    study_id = begin()
    mine = store.as_worker("w-0")
    claimed = mine.claims.claim(study_id)
    assert isinstance(claimed, ClaimedTrial)
    mine.storage.get_all_trials(study_id)  # as a worker does before
    choices = CategoricalDistribution((text, "other"))

    mine.storage.set_trial_param(claimed.trial_id, "kind", 0.0, choices)
    mine.storage.set_trial_user_attr(claimed.trial_id, FAILURE_ATTRIBUTE, text)
    mine.storage.set_trial_system_attr(claimed.trial_id, "note", {"text": text})
    mine.storage.set_trial_state_values(claimed.trial_id, TrialState.FAIL)

    study = optuna.load_study(study_name=make_round().study, storage=store.storage)
    (trial,) = study.get_trials()
    assert trial.params == {"kind": text}
    assert trial.user_attrs == {FAILURE_ATTRIBUTE: text}
    assert trial.system_attrs["note"] == {"text": text}
    assert store.readings.failures(make_round().study) == [(text, 1)]
