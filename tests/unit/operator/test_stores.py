"""What the readers of a board share, and that nothing stays open for a login that nobody uses."""

import asyncio
import threading
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from sqlalchemy import Engine

from tuning_operator.provision import Provisioner
from tuning_operator.settings import Settings
from tuning_operator.stores import Location, Stores
from tuning_operator.stores.pool import StorePool
from tuning_operator.stores.progress_cache import ProgressCache
from tuning_store.values import RoundKey
from tuning_study.api.storage import Storage

ONE, TWO, OTHER = ("a", "one"), ("a", "two"), ("b", "one")
NOW = float("inf")  # no reading is new enough


class Readings:
    """Stands in for the store: what was asked of it, and an answer that names its place. Waits while it is held."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[set[RoundKey]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        monkeypatch.setattr("tuning_operator.stores.progress_cache.read_some", self)

    def __call__(self, _: Engine, wanted: Mapping[str | None, Collection[str]]) -> dict[RoundKey, object]:
        self.asked.append({(schema, study) for schema, studies in wanted.items() for study in studies})
        self.begun.set()
        assert self.go_on.wait(10)
        return {place: place for place in self.asked[-1]}


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    return Readings(monkeypatch)


async def test_only_what_is_asked_for_is_read(readings: Readings) -> None:
    board: Any = ProgressCache("sqlite://")
    assert await board.progress(ONE, 0.0) == ONE
    assert await board.progress(ONE, 0.0) == ONE
    assert readings.asked == [{ONE}]
    assert await board.progress(OTHER, 0.0) == OTHER, "its name says nothing: each schema has its own"


async def test_who_asks_while_another_reads_shares_the_next_reading(readings: Readings) -> None:
    board: Any = ProgressCache("sqlite://")
    readings.go_on.clear()
    first = asyncio.create_task(board.progress(ONE, 0.0))
    assert await asyncio.to_thread(readings.begun.wait, 10)
    more = [asyncio.create_task(board.progress(place, 0.0)) for place in (TWO, OTHER, TWO)]
    await asyncio.sleep(0)
    readings.go_on.set()

    assert [await first, *await asyncio.gather(*more)] == [ONE, TWO, OTHER, TWO]
    assert readings.asked == [{ONE}, {TWO, OTHER}]


async def test_those_who_ask_each_second_are_read_together(readings: Readings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning_operator.stores.progress_cache._REFRESH_AFTER", 0.0)
    board: Any = ProgressCache("sqlite://")
    for place in (ONE, TWO):
        await board.progress(place, 0.0)
    await board.progress(TWO, NOW)
    assert readings.asked[-1] == {ONE, TWO}

    monkeypatch.setattr("tuning_operator.stores.progress_cache._ASKED_WITHIN", 0.0)
    await board.progress(TWO, NOW)
    assert readings.asked[-1] == {TWO}, "nobody asks for the other any more"


class Secrets:
    """An API server with one Secret, whose password changes."""

    password = "first"

    async def read_secret(self, namespace: str, name: str) -> dict[str, str]:
        return {"url": f"postgresql://me:{self.password}@localhost/mine"}


async def test_a_new_password_leaves_nothing_of_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning_store.schema.create", lambda url: None)
    secrets = Secrets()
    settings = Settings("postgresql://admin@localhost/all", "worker")
    stores = Stores(settings.store_url, "cluster")
    provisioner = Provisioner(settings, secrets, stores)  # type: ignore[arg-type]
    storage, threads = Storage(secret_name="mine"), threading.active_count()
    for number in range(5):
        secrets.password = f"password-{number}"
        location = await provisioner.provision("team", storage)
        assert secrets.password in location.url
        await asyncio.get_running_loop().run_in_executor(stores.progress(location)._thread, lambda: None)
        provisioner.read_again("team", storage)
    assert len(stores._caches) == 1
    assert threading.active_count() <= threads + 5, "one for the board, four for calls"


async def test_turns_are_kept_while_somebody_waits_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    store = type("Store", (), {"close": lambda self: None})()
    monkeypatch.setattr("tuning_operator.stores.pool.open_store", lambda *_, **__: store)
    pool = StorePool()
    order: list[object] = []
    locations = [Location(f"postgresql://{n}", None, "s", "k") for n in range(3)]
    await asyncio.gather(*(pool.call(location, order.append) for location in locations * 3))
    assert len(order) == 9
    assert not pool._turns
