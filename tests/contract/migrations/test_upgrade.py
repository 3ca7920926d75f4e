"""A store of the last version without migrations is brought up to date under the workers of both."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, replace
from datetime import timedelta
from itertools import chain
from multiprocessing.connection import Connection
from typing import Any

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from sqlalchemy import Engine, inspect

from tuning_store import open_storage, tenants
from tuning_store.exceptions import PermissionRefused, SchemaOutdated, translated
from tuning_store.optuna_internals import TABLES_REVISION
from tuning_store.retry import RetryPolicy
from tuning_store.sql import tables
from tuning_store.store import open_store
from tuning_store.tables_version import REQUIRED
from tuning_store.values import ClaimedTrial
from tuning_study.api.budget import Budget
from tuning_study.budget import ClaimDecision, Counts

from . import old_worker
from .databases import OLDS, described, engine_on, run_script, upgrade

OLD_STUDY = "team/digits/uid-1/r1"
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["optuna", "psycopg2", "pytest", "redis", "sqlalchemy", "tuning_store.tenants"])


def test_an_old_store_becomes_what_a_new_one_is(old_url: str) -> None:
    """But for the functions of the version before, which its workers call."""
    new = tenants.tenant_of("other", "cluster")
    tenants.create(old_url, new)
    upgrade(old_url)
    with engine_on(old_url) as engine:
        upgraded, fresh = described(engine, OLDS.schema), described(engine, new.schema)
    assert {name: upgraded[name] for name in fresh} == fresh
    assert upgraded.keys() - fresh.keys() == {f"tuning_{name}()" for name in OLD_FUNCTIONS}


OLD_FUNCTIONS = (
    *("write_children", "write", "create", "standing", "beat", "claim", "finish", "run_waiting", "put_back", "read"),
)


def test_an_upgrade_changes_no_row(old_url: str) -> None:
    def rows() -> dict[str, list[Any]]:
        with engine_on(old_url, OLDS.schema) as engine, engine.connect() as connection:
            names = set(inspect(engine).get_table_names()) - {"tuning_migrations"}
            return {name: sorted(map(str, connection.exec_driver_sql(f"SELECT * FROM {name}"))) for name in names}

    before = rows()
    upgrade(old_url)
    assert rows() == before


def test_workers_of_both_versions_finish_a_round_that_is_upgraded_under_them(old_url: str) -> None:
    with engine_on(old_url, OLDS.schema) as engine, engine.begin() as connection:
        states = Counter(connection.exec_driver_sql("SELECT state::text FROM trials").scalars().all())
        ended = "SELECT number FROM trials WHERE state IN ('COMPLETE', 'PRUNED', 'FAIL')"
        before = set(connection.exec_driver_sql(ended).scalars())
        connection.exec_driver_sql("UPDATE tuning_rounds SET trials = 1000000, failed_trials = 1000000")  # for now
    assert states == {"COMPLETE": 6, "PRUNED": 1, "FAIL": 1, "RUNNING": 3}
    old = [f"digits-1-{index}" for index in range(4)]  # three of which run a trial since before
    new = [f"digits-2-{index}" for index in range(2)]
    with ThreadPoolExecutor(1) as beside, engine_on(old_url, OLDS.schema) as engine:
        crew = [Worker(old_worker.work, old_url, name) for name in old]
        crew += [Worker(new_worker, old_url, name) for name in new]
        await_trials(engine, 60)
        upgrading = beside.submit(upgrade, old_url)
        await_trials(engine, 20, of="digits-2-%")
        upgrading.result(60)
        for name in [*old, *new]:  # on a busy machine one may begin late
            await_trials(engine, 1, of=name)
        store = open_store(old_url, schema=OLDS.schema)
        budget = store.readings.progress()[OLD_STUDY].counts.used + 200
        store.rounds.set_budget(OLD_STUDY, Budget(trials=budget, failed_trials=1_000_000))
        told = {worker.name: worker.join() for worker in crew}
    progress, trials = store.readings.progress()[OLD_STUDY], store.load_study(OLD_STUDY).get_trials()
    store.close()

    later = [trial for trial in trials if trial.number not in before]
    assert progress.counts == replace(progress.counts, complete=budget - progress.counts.pruned, running=0, waiting=0)
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert Counter(chain(*told.values())) == Counter(trial.number for trial in later), "each end was told to one worker"
    assert all(told.values())
    assert [trial.number for trial in later if "x" not in trial.params] == []
    complete = [trial for trial in later if trial.state is TrialState.COMPLETE]
    assert [trial.value for trial in complete] == [float(trial.number) for trial in complete]
    by_worker = progress.counts_by_worker.values()
    assert Counts(*(sum(column) for column in zip(*map(astuple, by_worker), strict=True))) == progress.counts


class Worker:
    """A process that works on the old study until its round is over."""

    def __init__(self, work: Callable[..., None], url: str, name: str) -> None:
        self.name = name
        self._told, telling = PROCESSES.Pipe(duplex=False)
        self._process = PROCESSES.Process(target=work, args=(url, OLDS.schema, 1, name, telling), daemon=True)
        self._process.start()
        telling.close()

    def join(self) -> list[int]:
        """The numbers of the trials that it ended."""
        assert self._told.poll(120), f"{self.name} does not come to an end"
        told: list[int] = self._told.recv()
        self._process.join(10)
        return told


def await_trials(engine: Engine, number: int, of: str = "%") -> None:
    """Until so many trials were claimed by workers of such names."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            statement = "SELECT count(*) FROM tuning_claims WHERE worker LIKE %s"
            if connection.exec_driver_sql(statement, (of,)).scalar_one() >= number:
                return
    raise AssertionError(f"{of} claimed no {number} trials within a minute")


def new_worker(url: str, schema_name: str, study: int, worker: str, told: Connection) -> None:
    retry = RetryPolicy(30.0, outdated_seconds=60.0)
    store, ended = open_store(url, schema=schema_name, worker=worker, retry=retry), []
    while (taken := store.claims.claim(study)) is not ClaimDecision.OVER:
        if not isinstance(taken, ClaimedTrial):
            time.sleep(0.02)
            continue
        store.claims.record_heartbeat(study)
        store.storage.set_trial_param(taken.trial_id, "x", 0.5, FloatDistribution(0, 1))
        if store.storage.set_trial_state_values(taken.trial_id, TrialState.COMPLETE, [float(taken.number)]):
            ended.append(taken.number)
    store.close()
    told.send(ended)


def test_a_role_of_an_old_tenant_works_with_what_the_upgrade_made(old_url: str) -> None:
    login = tenants.create_role(old_url, OLDS)
    try:
        upgrade(old_url)
        store = open_store(login, worker="digits-1-0")
        assert store.claims.record_heartbeat(1) is None
        taken = store.claims.claim(1)
        assert isinstance(taken, ClaimedTrial)
        assert store.storage.set_trial_state_values(taken.trial_id, TrialState.COMPLETE, [0.5])
        assert store.claims.requeue_stale(1, stale_after=timedelta(0), alive=["digits-1-1"]) == [10]
        store.close()
    finally:
        run_script(old_url, f'DROP OWNED BY "{OLDS.schema}"; DROP ROLE "{OLDS.schema}"')


@pytest.mark.parametrize("first", ["role", "upgrade"])
def test_a_tenant_cannot_write_which_migrations_its_tables_have_had(old_url: str, first: str) -> None:
    steps: dict[str, Callable[[], object]] = {
        "role": lambda: tenants.create_role(old_url, OLDS),
        "upgrade": lambda: upgrade(old_url),
    }
    try:
        for name in sorted(steps, key=lambda name: name != first):
            steps[name]()
        login = tenants.create_role(old_url, OLDS)
        with engine_on(login) as engine:
            assert tables.migrations_applied(engine) == REQUIRED
            for statement in ("DELETE FROM tuning_migrations", "UPDATE tuning_migrations SET number = number + 1"):
                with pytest.raises(PermissionRefused), translated(), engine.begin() as connection:
                    connection.exec_driver_sql(statement)
    finally:
        run_script(old_url, f'DROP OWNED BY "{OLDS.schema}"; DROP ROLE "{OLDS.schema}"')


def test_a_login_that_may_change_nothing_is_told_that_the_tables_are_old(old_url: str) -> None:
    login = tenants.create_role(old_url, OLDS)
    try:
        with pytest.raises(SchemaOutdated, match="of version 0"):
            open_storage(login)
    finally:
        run_script(old_url, f'DROP OWNED BY "{OLDS.schema}"; DROP ROLE "{OLDS.schema}"')


def test_an_older_operator_leaves_newer_tables_as_they_are(postgres_url: str) -> None:
    upgrade(postgres_url)
    run_script(postgres_url, f"INSERT INTO {OLDS.schema}.tuning_migrations VALUES (99, 'of_tomorrow', now())")
    run_script(postgres_url, "UPDATE tuning_admin.tenants SET version = '99/of_tomorrow/1'")
    with engine_on(postgres_url, OLDS.schema) as engine:
        before = described(engine, OLDS.schema)
        upgrade(postgres_url)
        assert described(engine, OLDS.schema) == before
        assert tables.migrations_applied(engine) == 99
        with engine.connect() as connection:
            version = connection.exec_driver_sql("SELECT version FROM tuning_admin.tenants").scalar_one()
        assert version.startswith(f"99/{TABLES_REVISION}/")
        assert tenants.made(engine) == set(tenants.schemas(engine)) == {OLDS.schema}
    open_store(postgres_url, schema=OLDS.schema, worker="w-0").close()
