"""Through PgBouncer in transaction mode, where no two statements need meet the same server session.

Needs Debian's package: apt-get install pgbouncer
"""

import os
import pwd
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy.engine import make_url

from builders import make_round
from tuning_store import schema
from tuning_store.store import open_storage, open_store
from tuning_store.values import ClaimedTrial
from tuning_study.budget import ClaimDecision, Counts

from . import servers
from .conftest import start_round

WORKERS, TRIALS = 8, 100


@pytest.fixture
def pooled_url(postgres_url: str, tmp_path: Path) -> Iterator[str]:
    """The same database, through three server connections that all clients share."""
    program = servers.program("pgbouncer", "pgbouncer")
    server, port = make_url(postgres_url), servers.free_port()
    folder = str(server.query["host"])
    config = Path(folder, f"pgbouncer-{port}.ini")  # where the server's user, who runs it, may read
    config.write_text(
        f"""[databases]
* = host={folder} user={server.username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
"""
    )
    owner = pwd.getpwuid(os.stat(Path(folder, "PG_VERSION")).st_uid).pw_name
    shutil.chown(config, owner)
    user = ["-u", owner] if os.geteuid() == 0 else []
    command = [program, *user, str(config)]
    with servers.running(command, tmp_path / "pgbouncer.log", lambda: servers.await_port(port)):
        yield f"postgresql://{server.username}@127.0.0.1:{port}/{server.database}"


def test_workers_use_a_budget_exactly(pooled_url: str) -> None:
    schema.create(pooled_url)
    store, resolved = open_store(pooled_url), make_round(budget={"trials": TRIALS})
    study = start_round(store, resolved)
    with ThreadPoolExecutor(WORKERS) as pool:
        shares = list(pool.map(lambda index: _work(pooled_url, study, f"w-{index}"), range(WORKERS)))
    assert sum(shares) == TRIALS
    assert store.readings.progress()[resolved.study].counts == Counts(complete=TRIALS)
    trials = store.load_study(resolved.study).trials
    assert [(trial.number, trial.user_attrs) for trial in trials] == [(n, {"number": n}) for n in range(TRIALS)]
    store.close()


def test_plain_optuna_works(pooled_url: str) -> None:
    study = optuna.create_study(storage=open_storage(pooled_url))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=5)
    assert len(study.trials) == 5


def _work(url: str, study: int, worker: str) -> int:
    store, done = open_store(url, worker=worker), 0
    while (taken := store.claims.claim(study)) is not ClaimDecision.OVER:
        if isinstance(taken, ClaimedTrial):
            store.storage.set_trial_user_attr(taken.trial_id, "number", taken.number)
            done += store.storage.set_trial_state_values(taken.trial_id, TrialState.COMPLETE, [1.0])
    store.close()
    return done
