"""One cause, one round, whatever is delivered, in whatever order, and whatever restarts in between.

Alerts come as Alertmanager sends them, through what the exporter makes of them; it remembers nothing between two. The
named sequences are reports of users of Alertmanager and Prometheus, by their issues.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from contract.test_retuning import WATCHED, Production
from tuning_exporter.inbox.alerts import Alert
from tuning_store import production
from tuning_store.production import AlertSighting

from .conftest import fresh_database

SECONDS = (-30, 0, 30)
PODS = ("serving-0", "serving-1")


class Deliveries:
    """A study in production, and everything that may happen around it. Each step is one of STEPS."""

    def __init__(self, url: str) -> None:
        self.told = Production(url, retune={"triggers": ["Alert", "Degradation"]}, production=WATCHED)
        self.began = datetime.now(UTC) - timedelta(minutes=1)
        self.fired: set[str] = set()
        self.completed = {1}

    def deliver(self, pod: str, status: str, seconds: int = 0) -> None:
        """By any replica of Alertmanager, of an alert that Prometheis evaluate at different moments."""
        labels = {"alertname": "ModelIsBad", "namespace": "team", "study": "digits", "pod": pod}
        starts_at = self.began + timedelta(seconds=seconds)
        alert = Alert.model_validate({"status": status, "labels": labels, "startsAt": starts_at})
        seen = AlertSighting(
            "uid-1", "team", alert.key, alert.name, alert.reason, starts_at, firing=alert.status == "firing"
        )
        production.note_alerts(self.told.engine, "cluster", [seen])
        self.fired.add(pod)

    def complete(self) -> None:
        """A worker completes the only trial of a round that runs."""
        number = self.told.status["round"]
        if number not in self.completed:
            self.told.world.complete(0.9, number=number)
            self.completed.add(number)

    async def take(self, step: str) -> None:
        match step.split():
            case ["firing", pod, seconds]:
                self.deliver(pod, "firing", int(seconds))
            case ["resolved", pod]:
                self.deliver(pod, "resolved")
            case ["degraded"]:
                self.told.observe(0.83)
            case ["restart"]:
                self.told.world.restart()
            case ["database", "away"]:
                with self._no_tables():
                    await self.told.look()
            case ["trial"]:
                self.complete()
        if step != "restart":
            await self.told.look()

    @contextmanager
    def _no_tables(self) -> Iterator[None]:
        self._run("ALTER TABLE tuning_admin.alerts RENAME TO away")
        try:
            yield
        finally:
            self._run("ALTER TABLE tuning_admin.away RENAME TO alerts")

    def _run(self, statement: str) -> None:
        with self.told.engine.begin() as connection:
            connection.execute(text(statement))

    async def recover(self) -> None:
        """The round ends, the alerts are resolved, production is well; then what was late is delivered again."""
        await self._until(lambda: self.told.status["round"] == 2)
        self.complete()
        await self._until(lambda: self.told.status["state"] == "Complete")
        for pod in sorted(self.fired):
            self.deliver(pod, "resolved")
        self.told.observe(*[0.9] * 10)
        await self._until(lambda: "episode" not in self.told.status["retune"])
        for pod in sorted(self.fired):
            self.deliver(pod, "firing", 30)
            await self.told.look()

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                await self.told.look()
                await asyncio.sleep(0.05)


STEPS = [
    *(f"firing {pod} {seconds}" for pod in PODS for seconds in SECONDS),
    *(f"resolved {pod}" for pod in PODS),
    "degraded",
    "trial",
    "restart",
    "database away",
]
REPORTS: Mapping[str, Sequence[str]] = {
    "report 1, alertmanager#4108: firing again after resolved": [
        "firing serving-0 0", "firing serving-0 0", "resolved serving-0", "firing serving-0 0", "trial",
        "firing serving-0 0",
    ],
    "report 2: the beginning and the labels change": [
        "firing serving-0 0", "firing serving-0 30", "firing serving-1 -30", "trial", "resolved serving-0",
        "firing serving-1 30", "restart", "firing serving-1 -30",
    ],
    "report 3: an alert and a degradation stay": [
        "firing serving-0 0", "degraded", "trial", "firing serving-0 0", "degraded", "firing serving-0 0", "degraded",
    ],
    "report 19, prometheus#17482: data stop, resolved is sent, and firing again": [
        "degraded", "firing serving-0 0", "trial", "resolved serving-0", "database away", "restart", "database away",
        "firing serving-0 30",
    ],
}  # fmt: skip


async def rounds_after(url: str, steps: Sequence[str]) -> Sequence[tuple[int, str]]:
    deliveries = Deliveries(url)
    await deliveries.told.finish_round()
    for step in steps:
        await deliveries.take(step)
    await deliveries.recover()
    return deliveries.told.rounds


@pytest.mark.parametrize("report", REPORTS)
async def test_a_report_starts_exactly_one_round(report: str, postgres_url: str) -> None:
    rounds = await rounds_after(postgres_url, REPORTS[report])
    assert [number for number, _ in rounds] == [1, 2]


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # a failure prints its steps, and to shorten them takes minutes
    database=None,
)
@given(steps=st.lists(st.sampled_from(STEPS), min_size=5, max_size=15))
def test_any_sequence_after_a_cause_starts_exactly_one_round(steps: list[str], postgres_server: str) -> None:
    with fresh_database(postgres_server, force=" WITH (FORCE)") as url:
        rounds = asyncio.run(rounds_after(url, ["firing serving-0 0", *steps]))
    assert rounds == [(1, "Created"), (2, "Alert")]
