"""Everything that a fault may break, and the one story that every fault is told in."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from chaos.load import Load
from chaos.proxies import ApiProxy, TcpProxy
from integration.harness import ControlPlane, FakeNode, Kube
from integration.services import Operator, Postgres
from integration.studies import Object

SOON = 60.0
"""Seconds after a fault's end within which a study must move again."""


@dataclass
class World:
    """A cluster, an operator behind a proxy of the API server, and a database behind one of its own."""

    plane: ControlPlane
    kube: Kube
    node: FakeNode
    api: ApiProxy
    operator: Operator
    server: Postgres
    database: TcpProxy
    random: random.Random
    repetitions: int
    load: Load = field(init=False)

    def moment(self, longest: float = 2.0) -> None:
        """Any moment of the load's life."""
        time.sleep(self.random.uniform(0, longest))

    @contextmanager
    def served_by(self, server: Postgres) -> Iterator[None]:
        """Within the block the operator keeps its studies in another PostgreSQL, behind a proxy of its own."""
        before = self.server, self.database
        with TcpProxy(server.port) as proxy:
            self.server, self.database = server, proxy
            try:
                with self.operator.configured(TUNING_STORE_URL=proxy.leading(server.url)):
                    yield
            finally:
                self.server, self.database = before

    def victim(self) -> Object:
        """The pod of a worker that has a trial."""
        busy = self.load.busy()
        pod: Object = self.random.choice(
            [pod for pod in self.load.study.pods() if _runs(pod) and pod["metadata"]["name"] in busy]
        )
        return pod


Fault = Callable[[World], AbstractContextManager[Any]]
"""Breaks something when it is entered; when it is left, the fault is over."""


@dataclass
class Record:
    """What the report says of one fault."""

    fault: str
    longest: float = 0.0
    times: int = 0

    def took(self, seconds: float) -> None:
        self.times += 1
        self.longest = max(self.longest, seconds)

    survived: bool = False

    def __str__(self) -> str:
        result = "lost 0, double 0" if self.survived else "NOT SURVIVED"
        return f"{self.fault}: {self.times} ×, moves again within {self.longest:.1f} s, {result}"


def suffer(world: World, fault: Fault, record: Record) -> None:
    """The fault, again and again at random moments; after each everything still holds, and in the end adds up."""
    for _ in range(world.repetitions):
        world.moment()
        with fault(world):
            pass
        record.took(world.load.moves(SOON))
        world.load.check()
    world.load.finish()
    record.survived = True


def _runs(pod: Object) -> bool:
    return bool(pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"])
