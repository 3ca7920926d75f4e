"""The API server is away, refuses, or shows what is no longer so."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from chaos.load import Load, eventually
from chaos.proxies import Answer, Call, Hangup
from chaos.world import Record, World, suffer

_OUTAGE = float(os.environ.get("CHAOS_API_OUTAGE", "30"))
_SPELL = 6.0  # seconds of wrong answers


def _change_something(world: World, load: Load) -> None:
    """So that the operator has to act."""
    eventually(lambda: load.study.scale(world.random.choice([2, 4])), 30)
    world.moment(_SPELL / 2)
    eventually(lambda: load.study.scale(3), 30)


def test_api_server_gone(world: World, load: Load, record: Record) -> None:
    world.repetitions = 1

    @contextmanager
    def fault(world: World) -> Iterator[None]:
        world.plane.apiserver.kill()
        time.sleep(_OUTAGE)
        world.plane.apiserver.start()
        # It asks rarely after an outage, and is not what is tested.
        world.plane.controller_manager.stop()
        world.plane.controller_manager.start()
        yield

    suffer(world, fault, record)


def test_watches_dropped(world: World, load: Load, record: Record) -> None:
    @contextmanager
    def fault(world: World) -> Iterator[None]:
        world.api.drop_watches()
        yield

    suffer(world, fault, record)


def test_watches_that_fall_silent(world: World, load: Load, record: Record) -> None:
    """Nobody closes them: only a client that misses the server's bookmarks notices."""
    world.repetitions = 1

    @contextmanager
    def fault(world: World) -> Iterator[None]:
        with world.api.silent_watches():
            _change_something(world, load)
        yield

    suffer(world, fault, record)


def test_a_stale_cache(world: World, load: Load, record: Record) -> None:
    @contextmanager
    def fault(world: World) -> Iterator[None]:
        world.api.watch_delay = 5.0
        _change_something(world, load)
        world.node.kill(eventually(world.victim, 60))
        _change_something(world, load)
        world.api.watch_delay = 0.0
        yield

    suffer(world, fault, record)


ANSWERS: dict[str, Answer | None] = {
    "answers 409": Answer(409),
    "answers 429": Answer(429, {"Retry-After": "1"}),
    "answers 500": Answer(500),
    "answers 503": Answer(503),
    "hangs up": None,
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=[f"API server {name}" for name in ANSWERS])
def test_wrong_answers(world: World, load: Load, record: Record, answer: Answer | None) -> None:
    """Three calls of four; the Lease and the lists of the watches are spared by 409 alone."""

    @contextmanager
    def fault(world: World) -> Iterator[None]:
        world.api.before = _sometimes(world, answer)
        world.node.kill(eventually(world.victim, 60))
        _change_something(world, load)
        world.moment(_SPELL)
        world.api.heal()
        yield

    suffer(world, fault, record)


def _sometimes(world: World, answer: Answer | None) -> Callable[[Call], Answer | None]:
    def judge(call: Call) -> Answer | None:
        if (call.method == "GET" and answer is not None and answer.status == 409) or world.random.random() < 0.25:
            return None
        if answer is None:
            raise Hangup
        return answer

    return judge
