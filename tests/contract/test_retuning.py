"""From what production tells to a new round: alerts and observations in the database, the reconciler on top of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from contract.test_reconcile import World
from tuning_operator.keepers.production import ProductionKeeper
from tuning_operator.observe.study import read_study
from tuning_operator.stores import Stores
from tuning_store import production
from tuning_store.features import Place
from tuning_store.production import AlertSighting, Reading
from tuning_store.pushed import Pushed, keep_pushed
from tuning_store.urls import driver_url
from tuning_study.production.features import counts_of, reference_of
from tuning_study.production.observation import Observation

WATCHED = {
    "metrics": [{"name": "accuracy", "source": {"push": {}}, "baseline": {"value": 0.9}}],
}


class Production:
    """What tells of the model in production, and the world that hears of it."""

    def __init__(self, url: str, **spec: Any) -> None:
        production.prepare(url)
        self.engine = create_engine(driver_url(url))
        self.world = World(url, budget={"trials": 1}, **spec)

    def alert(self, firing: bool = True, key: str = "a", starts_at: datetime | None = None) -> None:
        at = starts_at or datetime.now(UTC)
        seen = AlertSighting("uid-1", "team", key, "ModelIsBad", f"{key}: accuracy is 0.71", at, firing)
        production.note_alerts(self.engine, "cluster", [seen])

    def observe(self, *values: float, samples: int = 1000) -> None:
        """One after another, from now on."""
        now = datetime.now(UTC)
        times = [now + timedelta(milliseconds=number) for number in range(len(values))]
        found = [Observation(at, value, samples) for at, value in zip(times, values, strict=True)]
        readings = [Reading("uid-1", "team", "accuracy", observation) for observation in found]
        production.add_observations(self.engine, "cluster", readings)

    async def look(self) -> None:
        """After the keeper has heard of what is new."""
        stores = Stores(self.world.url, "cluster")
        await ProductionKeeper(None, stores, self.world.evidence, lambda _: None).tell_news()  # type: ignore[arg-type]
        await self.world.look()

    async def look_until(self, state: str, round: int = 1) -> None:
        async with asyncio.timeout(15):
            while (self.status.get("state"), self.status.get("round")) != (state, round):
                await self.look()
                await asyncio.sleep(0.1)

    async def finish_round(self, number: int = 1) -> None:
        await self.look_until("Running", number)
        self.world.complete(0.9, number=number)
        await self.look_until("Complete", number)

    @property
    def status(self) -> dict[str, Any]:
        return self.world.cluster.status

    @property
    def rounds(self) -> Sequence[tuple[int, str]]:
        return [(entry["round"], entry["trigger"]) for entry in self.status["rounds"]]

    def told(self, reason: str) -> list[str]:
        return [message for found, message in self.world.cluster.events.values() if found == reason]


@pytest.fixture
def alerted(postgres_url: str) -> Production:
    return Production(postgres_url, retune={"triggers": ["Alert"]})


@pytest.fixture
def watched(postgres_url: str) -> Production:
    return Production(postgres_url, retune={"triggers": ["Degradation"]}, production=WATCHED)


async def test_an_alert_starts_one_round_however_long_it_fires(alerted: Production) -> None:
    await alerted.finish_round()
    alerted.alert()
    await alerted.finish_round(2)
    for _ in range(3):
        alerted.alert()
        alerted.alert(key="b")
        await alerted.look()
    assert alerted.rounds == [(1, "Created"), (2, "Alert")]
    assert alerted.status["rounds"][1]["reason"] == "a: accuracy is 0.71"
    assert alerted.told("RetuneStarted") == ["Alert: a: accuracy is 0.71"]
    assert alerted.status["retune"]["episode"]["rounds"] == 1


async def test_an_alert_fires_as_long_as_it_is_repeated_and_two_days_more(alerted: Production) -> None:
    await alerted.finish_round()
    alerted.alert()
    await alerted.look()
    study, now, days = read_study(alerted.world.cluster.study), datetime.now(UTC), timedelta(days=1)

    async def fires(after: timedelta) -> bool:
        found = await alerted.world.evidence.production(study, now + after)
        return found is not None and bool(found.alerts)

    with alerted.engine.begin() as connection:
        connection.execute(text("UPDATE tuning_admin.alerts SET seen_at = seen_at + interval '6 days'"))
    assert await fires(7 * days)
    assert not await fires(8.1 * days)


async def test_an_operator_that_takes_over_goes_on_with_the_episode(alerted: Production) -> None:
    await alerted.finish_round()
    alerted.alert()
    await alerted.finish_round(2)
    alerted.world.restart()
    await alerted.world.look()  # before it has heard of any alert
    assert alerted.status["retune"]["episode"]["rounds"] == 1
    await alerted.look()
    assert alerted.rounds == [(1, "Created"), (2, "Alert")]


async def test_an_alert_that_may_not_ask_is_told_once(postgres_url: str) -> None:
    quiet = Production(postgres_url)
    await quiet.finish_round()
    quiet.alert()
    for _ in range(3):
        await quiet.look()
    assert quiet.rounds == [(1, "Created")]
    [told] = quiet.told("RetuneSuppressed")
    assert told.endswith("starts no round: NotATrigger")
    assert (quiet.status["retune"]["suppressed"], quiet.status["retune"]["lastOutcome"]) == (1, "NotATrigger")


async def test_an_alert_in_the_middle_of_a_round_waits_for_its_end(alerted: Production) -> None:
    await alerted.look()
    alerted.alert()
    await alerted.look()
    await alerted.look()
    assert alerted.status["retune"]["episode"]["waitsFor"] == "RoundRunning"
    alerted.world.complete(0.9)
    await alerted.look_until("Running", 2)
    assert alerted.rounds == [(1, "Created"), (2, "Alert")]


async def test_a_round_by_hand_while_an_alert_fires_is_the_alerts_round_too(alerted: Production) -> None:
    await alerted.look()
    alerted.alert()
    await alerted.look()
    alerted.world.cluster.annotate("tuning.dev/frozen-until", "2099-01-01T00:00:00Z")
    alerted.world.complete(0.9)
    await alerted.look_until("Complete")
    await alerted.look()
    assert alerted.status["retune"]["episode"]["waitsFor"] == "Frozen"
    alerted.world.cluster.annotate("tuning.dev/retune-requested", "by-hand")
    await alerted.finish_round(2)
    alerted.world.cluster.annotate("tuning.dev/frozen-until", "2020-01-01T00:00:00Z")
    await alerted.look()
    assert alerted.rounds == [(1, "Created"), (2, "Manual")]


async def test_a_metric_that_degrades_is_told_with_its_numbers_and_starts_a_round(watched: Production) -> None:
    await watched.finish_round()
    await watched.look()
    assert watched.world.cluster.condition("Degraded") == ("Unknown", "NoEvidence")
    watched.observe(0.9, 0.91, 0.89)
    await watched.look()
    assert watched.world.cluster.condition("Degraded") == ("False", "ModelWell")
    watched.observe(0.83, 0.84)
    await watched.look_until("Running", 2)
    assert watched.world.cluster.condition("Degraded") == ("True", "ModelDegraded")
    assert watched.rounds == [(1, "Created"), (2, "Degradation")]
    reason = watched.status["rounds"][1]["reason"]
    assert "accuracy 0.835 over 2 observations of 2000 samples in all, baseline 0.9 (given)" in reason
    [metric] = watched.status["production"]
    assert (metric["value"], metric["baseline"], metric["evidence"]) == (0.84, 0.9, 1.0)


async def test_it_stays_degraded_until_as_much_evidence_says_that_it_is_well(watched: Production) -> None:
    await watched.finish_round()
    watched.observe(0.83, 0.84)
    await watched.finish_round(2)
    await watched.look()
    assert watched.world.cluster.condition("Degraded") == ("True", "ModelDegraded")
    assert watched.status["retune"]["episode"]["rounds"] == 1
    watched.observe(0.9, 0.91, 0.9)
    await watched.look()
    assert watched.world.cluster.condition("Degraded") == ("False", "ModelWell")
    assert "episode" not in watched.status["retune"]
    assert watched.told("EpisodeOver")
    assert watched.rounds == [(1, "Created"), (2, "Degradation")]


DRIFT = {"drift": {"window": "1ms", "minSamples": 50}}


def sent(production: Production, *values: float) -> None:
    """So many samples of the feature `age`, in two batches: a window has a beginning and an end."""
    reference = reference_of([float(number) for number in range(1000)])
    for half in (values[::2], values[1::2]):
        told = Pushed(Place("cluster", "team", "uid-1"), (), {"age": reference}, {"age": counts_of(reference, half)})
        keep_pushed(production.engine, [told])
        time.sleep(0.002)


async def test_data_that_drift_are_told_and_start_nothing_by_themselves(postgres_url: str) -> None:
    watching = Production(postgres_url, retune={"triggers": ["Alert", "Degradation"]}, production=DRIFT)
    await watching.finish_round()
    await watching.look()
    assert watching.world.cluster.condition("Drifted") == ("Unknown", "NoEvidence")
    sent(watching, *range(0, 1000, 5))
    await watching.look()
    assert watching.world.cluster.condition("Drifted") == ("False", "DataSteady")
    sent(watching, *[900.0] * 200)
    await watching.look()
    assert watching.world.cluster.condition("Drifted") == ("True", "DataDrifted")
    assert watching.status["drift"]["features"][0]["name"] == "age"
    assert len(watching.told("DataDrifted")) == 1
    assert (watching.rounds, watching.status["retune"].get("episode")) == ([(1, "Created")], None)


async def test_where_the_manifest_says_so_drift_asks_for_a_round(postgres_url: str) -> None:
    asking = Production(postgres_url, retune={"triggers": ["Drift"]}, production=DRIFT)
    await asking.finish_round()
    sent(asking, *[900.0] * 200)
    await asking.look_until("Running", 2)
    assert asking.rounds == [(1, "Created"), (2, "Drift")]
    assert "age: PSI" in asking.status["rounds"][1]["reason"]


async def test_what_is_not_known_changes_nothing(watched: Production) -> None:
    await watched.finish_round()
    watched.observe(0.83, 0.84)
    await watched.finish_round(2)
    with watched.engine.begin() as connection:
        connection.execute(text("ALTER TABLE tuning_admin.observations RENAME TO away"))
    watched.world.restart()
    await watched.world.look()
    assert watched.world.cluster.condition("Degraded") == ("True", "ModelDegraded")
    assert watched.status["retune"]["episode"]["rounds"] == 1
