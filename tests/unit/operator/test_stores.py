"""What the readers of a board share."""

import asyncio
import threading
from collections.abc import Collection, Mapping

import pytest
from sqlalchemy import Engine

from tuning_operator.stores import Board, progress

ONE, TWO, OTHER = ("a", "one"), ("a", "two"), ("b", "one")
NOW = float("inf")  # no reading is new enough


class Readings:
    """Stands in for the store: what was asked of it, and an answer that names its place. Waits while it is held."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[set[progress.Place]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        monkeypatch.setattr(progress, "read_some", self)

    def __call__(self, _: Engine, wanted: Mapping[str | None, Collection[str]]) -> dict[progress.Place, object]:
        self.asked.append({(schema, study) for schema, studies in wanted.items() for study in studies})
        self.begun.set()
        assert self.go_on.wait(10)
        return {place: place for place in self.asked[-1]}


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    return Readings(monkeypatch)


async def test_only_what_is_asked_for_is_read(readings: Readings) -> None:
    board = Board("sqlite://")
    assert await board.progress(ONE, 0.0) == ONE
    assert await board.progress(ONE, 0.0) == ONE
    assert readings.asked == [{ONE}]
    assert await board.progress(OTHER, 0.0) == OTHER, "its name says nothing: each schema has its own"


async def test_who_asks_while_another_reads_shares_the_next_reading(readings: Readings) -> None:
    board = Board("sqlite://")
    readings.go_on.clear()
    first = asyncio.create_task(board.progress(ONE, 0.0))
    assert await asyncio.to_thread(readings.begun.wait, 10)
    more = [asyncio.create_task(board.progress(place, 0.0)) for place in (TWO, OTHER, TWO)]
    await asyncio.sleep(0)
    readings.go_on.set()

    assert [await first, *await asyncio.gather(*more)] == [ONE, TWO, OTHER, TWO]
    assert readings.asked == [{ONE}, {TWO, OTHER}]


async def test_those_who_ask_each_second_are_read_together(readings: Readings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning_operator.stores._OLD", 0.0)
    board = Board("sqlite://")
    for place in (ONE, TWO):
        await board.progress(place, 0.0)
    await board.progress(TWO, NOW)
    assert readings.asked[-1] == {ONE, TWO}

    monkeypatch.setattr("tuning_operator.stores._REMEMBERED", 0.0)
    await board.progress(TWO, NOW)
    assert readings.asked[-1] == {TWO}, "nobody asks for the other any more"
