"""The database restarts, moves, fills up, refuses: what was committed counts once, and the study goes on by itself."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest

from chaos.load import Load, eventually, until
from chaos.world import Record, World, suffer
from integration.services import Postgres
from integration.studies import store_url
from integration.test_credentials import tuning
from tuning_store.tenants import login_works

_OUTAGE = float(os.environ.get("CHAOS_DB_OUTAGE", "20"))
_OTHERS = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
_DISK = 400  # MiB


def _told_to_be_away(load: Load) -> None:
    load.study.wait_for_condition("StoreReady", "False", "Unreachable")
    load.study.wait_for_event("Unreachable")
    assert load.study.condition("Running")[0] == "True"  # it waits; it has not ended


def _told_to_be_back(load: Load) -> None:
    load.study.wait_for_condition("StoreReady", "True", "Connected")
    load.study.wait_for_event("Connected")


@pytest.mark.parametrize("end", [Postgres.stop, Postgres.crash], ids=["PostgreSQL restarted", "PostgreSQL crashed"])
def test_restarts(world: World, load: Load, record: Record, end: Callable[[Postgres], None]) -> None:
    @contextmanager
    def fault(world: World) -> Iterator[None]:
        end(world.server)
        world.server.start()
        yield

    suffer(world, fault, record)


def test_postgresql_gone_for_long(world: World, load: Load, record: Record) -> None:
    world.repetitions = 1

    @contextmanager
    def fault(world: World) -> Iterator[None]:
        gone = time.monotonic()
        world.server.crash()
        _told_to_be_away(load)
        time.sleep(max(0.0, gone + _OUTAGE - time.monotonic()))
        world.server.start()
        yield

    suffer(world, fault, record)
    _told_to_be_back(load)


def test_postgresql_failed_over(world: World, begin: Callable[..., Load], record: Record) -> None:
    """Synchronous replication, as for everything that must not be lost; the URL leads to the standby."""
    servers = contextlib.ExitStack()

    @contextmanager
    def fault(world: World) -> Iterator[None]:
        old = world.server
        standby = servers.enter_context(Postgres(world.plane, copy_of=old))
        old.sql("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
        until(lambda: old.query("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"), "standby", 30)
        world.moment()
        old.crash()
        standby.promote()
        world.server = standby
        world.database.lead_to(standby.port)
        yield

    with servers:
        primary = servers.enter_context(Postgres(world.plane))
        with world.served_by(primary):
            begin()
            suffer(world, fault, record)


def test_its_disk_is_full(world: World, begin: Callable[..., Load], record: Record) -> None:
    with _small_disk() as folder, Postgres(world.plane, folder, max_wal_size="64MB", min_wal_size="32MB") as server:
        ballast = folder / "ballast"

        @contextmanager
        def fault(world: World) -> Iterator[None]:
            with open(ballast, "wb") as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(65536))
            with contextlib.suppress(psycopg2.Error):
                while True:  # what there is left of its log is soon written
                    server.sql("SELECT pg_logical_emit_message(true, '', repeat('x', 4000000))")
            _told_to_be_away(world.load)
            world.moment()
            ballast.unlink()
            server.start()  # without room for its log it ends, and Kubernetes would start it again
            yield

        with world.served_by(server):
            begin()
            suffer(world, fault, record)


@contextmanager
def _small_disk() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}m", "tmpfs", folder]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
            pytest.skip("may not mount a small disk")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def test_its_connections_are_used_up(world: World, load: Load, record: Record) -> None:
    @contextmanager
    def fault(world: World) -> Iterator[None]:
        with contextlib.ExitStack() as held:
            hold = world.server.url
            first = held.enter_context(contextlib.closing(psycopg2.connect(hold)))
            first.autocommit = True

            def take_all() -> None:
                with first.cursor() as cursor:
                    cursor.execute(f"SELECT pg_terminate_backend(pid) {_OTHERS} AND application_name <> 'hog'")
                with contextlib.suppress(psycopg2.OperationalError):
                    while True:
                        more = psycopg2.connect(hold, application_name="hog")
                        held.enter_context(contextlib.closing(more))

            def away() -> None:
                take_all()
                assert load.study.condition("StoreReady") == ("False", "Unreachable")

            eventually(away, 30)
            load.study.wait_for_event("Unreachable", "too many clients")
        yield

    suffer(world, fault, record)
    _told_to_be_back(load)


@pytest.mark.parametrize(
    "how",
    ["pg_cancel_backend", "pg_terminate_backend"],
    ids=["statements cancelled", "backends terminated"],
)
def test_interruptions(world: World, load: Load, record: Record, how: str) -> None:
    active = "AND state = 'active'" if how == "pg_cancel_backend" else f"AND {world.random.random()} < random()"

    @contextmanager
    def fault(world: World) -> Iterator[None]:
        struck, until_then = 0, time.monotonic() + 3
        with contextlib.closing(psycopg2.connect(world.server.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                while time.monotonic() < until_then or not struck:
                    cursor.execute(f"SELECT count({how}(pid)) {_OTHERS} {active}")
                    struck += (cursor.fetchone() or (0,))[0]
                    time.sleep(0.001 if how == "pg_cancel_backend" else world.random.uniform(0, 1))
        print(f"{struck} struck")
        yield

    suffer(world, fault, record)


def test_connections_cut(world: World, load: Load, record: Record) -> None:
    @contextmanager
    def fault(world: World) -> Iterator[None]:
        for _ in range(5):
            world.database.cut()
            world.moment(1)
        yield

    suffer(world, fault, record)


def test_a_password_rotated(world: World, load: Load, record: Record) -> None:
    """All log in again at a moment when their Secret's file, which the kubelet writes later, has the old one."""

    @contextmanager
    def fault(world: World) -> Iterator[None]:
        old = store_url(world.kube)
        said = tuning(world.plane, "rotate-credentials", "-n", world.kube.namespace)
        assert said.returncode == 0, said.stderr
        assert not login_works(old)
        world.server.sql(f"SELECT pg_terminate_backend(pid) {_OTHERS}")
        world.moment(5)
        for pod in load.study.pods():
            world.node.refresh(pod)
        yield

    suffer(world, fault, record)
