"""A canary whose requests programs count themselves: sums in the database, and what the operator makes of them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from tuning_exporter.inbox import counts as inbox
from tuning_operator.keepers.canary import CanaryKeeper
from tuning_prometheus.client import Prometheus
from tuning_store import canary_counts
from tuning_store.canary_counts import (
    Count,
    ToldCounts,
    TooManySenders,
    forget_counts,
    keep_counts,
    read_counts,
)
from tuning_store.features import Place
from tuning_store.production import forget, known_studies

from .test_promotion import STABLE, TARGET, Promoting

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def told(
    bad: int, total: int, *, at: int = 0, sender: str = "pod-1", of: str = "p1", study: str = "uid-1"
) -> ToldCounts:
    """`at` is in minutes."""
    return ToldCounts(Place("cluster", "team", study), of, sender, NOON + at * MINUTE, {"errors": Count(bad, total)})


def errors(admin: Engine) -> Mapping[str, Count]:
    """By parameters."""
    return {parameters: counts["errors"] for parameters, counts in read_counts(admin, "uid-1").items()}


def keep(admin: Engine, *each: ToldCounts) -> None:
    for one in each:
        keep_counts(admin, [one])


class TestSums:
    def test_begin_where_a_sender_is_first_heard_of(self, admin: Engine) -> None:
        keep(admin, told(50, 5000))
        assert errors(admin) == {"p1": Count(0, 0)}
        keep(admin, told(51, 5100, at=1))
        assert errors(admin) == {"p1": Count(1, 100)}

    def test_are_of_all_senders_and_of_each_side(self, admin: Engine) -> None:
        keep(admin, told(0, 0), told(0, 0, sender="pod-2"), told(0, 0, of="p2"))
        keep(admin, told(1, 10, at=1), told(2, 20, at=1, sender="pod-2"), told(3, 30, at=1, of="p2"))
        assert errors(admin) == {"p1": Count(3, 30), "p2": Count(3, 30)}

    def test_know_what_was_told_twice_and_what_comes_too_late(self, admin: Engine) -> None:
        keep(admin, told(0, 0), told(2, 20, at=2), told(2, 20, at=2), told(1, 10, at=1))
        assert errors(admin) == {"p1": Count(2, 20)}

    def test_go_on_where_a_sender_has_begun_anew(self, admin: Engine) -> None:
        keep(admin, told(0, 100), told(5, 150, at=1), told(1, 20, at=2), told(2, 30, at=3))
        assert errors(admin) == {"p1": Count(5 + 2, 50 + 30)}

    def test_are_forgotten_with_the_canary_and_with_the_study(self, admin: Engine) -> None:
        keep(admin, told(0, 0), told(0, 0, study="uid-2"))
        assert known_studies(admin, "cluster") == {"uid-1", "uid-2"}
        forget_counts(admin, "uid-1")
        forget(admin, ["uid-2"])
        assert known_studies(admin, "cluster") == set()

    def test_do_not_fill_the_database(self, admin: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(canary_counts, "MOST_SENDERS", 2)
        keep(admin, told(0, 0), told(0, 0, sender="pod-2"))
        with pytest.raises(TooManySenders, match="give `sender` a name that stays"):
            keep(admin, told(0, 0, sender="pod-3"))
        keep(admin, told(1, 10, at=1))
        assert errors(admin) == {"p1": Count(1, 10)}


class Counting(Promoting):
    """Its canary serves, and pods of both sides send what they have counted."""

    def __init__(self, url: str) -> None:
        canary = {"metrics": [{"name": "errors", "push": {}}], "for": "10m"}
        super().__init__(url, promotion={"mode": "Automatic", "target": TARGET, "canary": canary})
        self.cluster.add_deployment("digits-api")
        container = {"name": "main", "envFrom": [{"configMapRef": {"name": STABLE}}]}
        self.cluster.objects["Deployment", "digits-api"]["spec"]["template"]["spec"] = {"containers": [container]}
        self.now = datetime.now(UTC)
        self._sent = {"stable": Count(0, 0), "canary": Count(0, 0)}

    async def serve(self) -> None:
        await self.finish_round(0.5)
        await self.settle()
        self.cluster.set_rollout("digits-api")
        await self.settle()
        await self.retune(0.9)
        await self.settle()
        self.cluster.set_rollout(self.promotion["canary"]["deployment"])
        await self.settle()

    def send(self, side: str, *, bad: int, total: int) -> None:
        """What the side's pods have answered since the last time, by the way of `POST /counts`."""
        before = self._sent[side]
        self._sent[side] = now = Count(before.bad + bad, before.total + total)
        name = self.promotion["stable"] if side == "stable" else self.promotion["canary"]["parameters"]
        document = {"namespace": "team", "study": "digits", "parameters": name, "counts": {"errors": vars(now)}}
        [counts] = inbox.read_counts(json.dumps(document).encode())
        found = inbox.sort_out(counts, self.cluster.study, "cluster", self.now)
        assert found.told is not None and not found.problems
        keep_counts(self.stores.admin_engine(), [found.told])

    async def look_at_canary(self) -> None:
        """As the keeper does, half a minute later."""
        self.now += MINUTE / 2
        keeper = CanaryKeeper(None, self.stores, self.canaries, lambda _: None)  # type: ignore[arg-type]
        [serving] = self.canaries.serving()
        async with Prometheus() as prometheus:
            await keeper.look_at(serving, prometheus, self.now)
        await self.look()


@pytest.fixture
def counting(postgres_url: str) -> Counting:
    return Counting(postgres_url)


async def test_a_canary_that_answers_worse_is_rolled_back(counting: Counting) -> None:
    await counting.serve()
    while counting.promotion["state"] == "Canary":
        counting.send("stable", bad=1, total=300)
        counting.send("canary", bad=30, total=300)
        await counting.look_at_canary()
    assert counting.promotion["state"] == "RolledBack"
    assert "the canary is worse than stable; 10.00% of" in counting.promotion["rolledBack"][0]["reason"]


async def test_what_was_counted_before_the_canary_served_is_no_evidence(counting: Counting) -> None:
    await counting.serve()
    counting.send("stable", bad=0, total=100)
    counting.send("canary", bad=0, total=0)
    counting.send("canary", bad=500, total=500)
    await counting.look_at_canary()
    await counting.look_at_canary()
    assert counting.promotion["canary"]["verdict"] == "Unknown"
    assert "nobody has sent counts of requests with digits-params-r1-" in counting.promotion["canary"]["message"]
