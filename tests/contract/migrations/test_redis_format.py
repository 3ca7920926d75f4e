"""Rounds in a Redis note their format, and are read by programs that know it."""

import pytest
from redis import Redis

from builders import make_round
from contract.conftest import start_round
from tuning_store.exceptions import SchemaMismatch
from tuning_store.redis.transactions import FORMAT
from tuning_store.store import open_store
from tuning_store.values import ClaimedTrial


def test_a_redis_notes_the_format_of_its_rounds(redis_url: str) -> None:
    store = open_store(redis_url)
    start_round(store, make_round())
    store.close()
    assert Redis.from_url(redis_url).get("tuning:format") == str(FORMAT).encode()


def test_rounds_in_a_redis_from_before_the_format_was_noted_are_read(redis_url: str) -> None:
    store = open_store(redis_url)
    study = start_round(store, make_round())
    store.close()
    Redis.from_url(redis_url).delete("tuning:format")
    again = open_store(redis_url, worker="w-0")
    assert isinstance(again.claims.claim(study), ClaimedTrial)
    again.close()


def test_rounds_in_a_redis_that_a_newer_version_wrote_are_refused(redis_url: str) -> None:
    Redis.from_url(redis_url).set("tuning:format", FORMAT + 1)
    with pytest.raises(SchemaMismatch, match=f"of format {FORMAT + 1}, and this program reads up to {FORMAT}"):
        open_store(redis_url)
