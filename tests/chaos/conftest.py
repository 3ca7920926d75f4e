"""Fixtures of the fault suite: a world with proxies at every seam, a study under load in it, and a report at the end.

CHAOS_REPEATS says how often each fault happens, CHAOS_SEED at which moments; the report's head prints the seed.
"""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos.load import Load, eventually
from chaos.proxies import ApiProxy, TcpProxy
from chaos.world import Record, World
from integration.conftest import node  # noqa: F401 - a fixture
from integration.harness import ControlPlane, FakeNode, Kube
from integration.operator_fixtures import crd, system  # noqa: F401 - fixtures
from integration.services import Operator, Postgres

_RECORD = "chaos_record"


def pytest_configure(config: pytest.Config) -> None:
    given = os.environ.setdefault("CHAOS_SEED", secrets.token_hex(4))  # xdist's workers inherit it
    config.stash[_seed] = given


_seed = pytest.StashKey[str]()


def pytest_report_header(config: pytest.Config) -> str:
    return f"chaos: CHAOS_SEED={config.stash[_seed]} CHAOS_REPEATS={_repetitions()}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for group in terminalreporter.stats.values() for report in group if hasattr(report, "when")]
    properties = [entry for report in reports if report.when == "teardown" for entry in report.user_properties]
    lines = [str(value) for name, value in properties if name == _RECORD]
    if lines:
        terminalreporter.section("faults", "-")
        for line in lines:
            terminalreporter.line(line)


def _repetitions() -> int:
    return int(os.environ.get("CHAOS_REPEATS", "3"))


@pytest.fixture(scope="session")
def server(control_plane: ControlPlane) -> Iterator[Postgres]:
    with Postgres(control_plane, max_connections=60) as postgres:
        yield postgres


@pytest.fixture(scope="session")
def database(server: Postgres) -> Iterator[TcpProxy]:
    with TcpProxy(server.port) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> Iterator[ApiProxy]:
    with ApiProxy(control_plane) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def session_operator(
    control_plane: ControlPlane,
    system: Kube,  # noqa: F811
    server: Postgres,
    database: TcpProxy,
    api: ApiProxy,
) -> Iterator[Operator]:
    program = Operator(control_plane, database.leading(server.url), server=api.url)
    program.start()
    yield program
    program.kill()


@pytest.fixture
def operator(
    session_operator: Operator,
    system: Kube,  # noqa: F811
    api: ApiProxy,
    control_plane: ControlPlane,
) -> Operator:
    """Running and leading."""
    control_plane.apiserver.start()
    api.heal()
    session_operator.start()
    system.wait_for(lambda: session_operator.leads(system), bool, what="leader")
    return session_operator


@pytest.fixture
def world(
    request: pytest.FixtureRequest,
    control_plane: ControlPlane,
    kube: Kube,
    node: FakeNode,  # noqa: F811
    api: ApiProxy,
    operator: Operator,
    server: Postgres,
    database: TcpProxy,
) -> World:
    moments = random.Random(f"{request.config.stash[_seed]} {request.node.name}")
    server.start()
    return World(control_plane, kube, node, api, operator, server, database, moments, _repetitions())


@pytest.fixture
def begin(world: World, tmp_path: Path) -> Iterator[Callable[..., Load]]:
    """Starts a study under load: three workers, trials of a third of a second, a budget out of reach."""
    began: list[Load] = []

    def start(**fields: Any) -> Load:
        world.load = Load(world.kube, tmp_path / "journal", **fields)
        began.append(world.load)
        world.load.start()
        return world.load

    yield start
    for load in began:
        eventually(load.study.delete, 30)


@pytest.fixture
def load(begin: Callable[..., Load]) -> Load:
    """A study under load, begun."""
    return begin()


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Iterator[Record]:
    name = request.node.name.partition("[")[2].rstrip("]") or request.node.name.removeprefix("test_").replace("_", " ")
    made = Record(name)
    yield made
    request.node.user_properties.append((_RECORD, str(made)))
