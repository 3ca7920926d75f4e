"""What the readers of a board share."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
from sqlalchemy import Engine

from tuning_operator.stores import Board, progress


async def test_a_reading_says_nothing_of_a_schema_that_was_added_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def read(_: Engine, schemas: Sequence[str | None]) -> dict[str, object]:
        begun.set()
        assert go_on.wait(10)
        return {f"round of {schema}": schema for schema in schemas}

    monkeypatch.setattr(progress, "read", read)
    board = Board("sqlite://")
    board.add("old")
    first = asyncio.create_task(board.progress("round of old", 0.0))
    assert await asyncio.to_thread(begun.wait, 10)
    board.add("new")
    go_on.set()

    assert await first == "old"
    assert await board.progress("round of new", 0.0) == "new", "or its studies would start a round anew"
