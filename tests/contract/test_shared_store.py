"""Runs of one study in one store, from several folders as from several machines: one budget, and each trial once."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from contract.conftest import StartRound
from tuning_report.run_identity import RunIdentity
from tuning_report.worker_names import by_display_name, display_names
from tuning_store.store import Store, open_store
from tuning_study.budget import Counts, StopReason

MANIFEST = """\
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata: {{name: shared}}
spec:
  metrics: [{{name: score, direction: Maximize}}]
  parameters: [{{name: x, type: Float, min: 0, max: 1}}]
  objective: {{command: {{command: [sh, -c, 'echo "$TUNING_TRIAL" >> {log}; sleep 0.5; echo score=$TUNING_PARAM_X']}}}}
  budget: {{trials: {trials}}}
  strategy: {{sampler: {{type: Random}}}}
"""


class Laptop:
    """A folder in which a person runs the study, in a store that others use too."""

    def __init__(self, folder: Path, url: str, trials: int = 8) -> None:
        folder.mkdir()
        self.folder, self.url = folder, url
        self.log = folder.parent / "log"
        (folder / "study.yaml").write_text(MANIFEST.format(log=self.log, trials=trials))

    def run(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tuning_cli.app", "run", "study.yaml", "--storage", self.url]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            text=True,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    @property
    def starts(self) -> Counter[str]:
        """How often each trial was started, here or anywhere."""
        return Counter(self.log.read_text().split()) if self.log.exists() else Counter()


def end_of(run: "subprocess.Popen[str]", seconds: float = 60) -> tuple[int, str]:
    """Its exit code and output."""
    output, _ = run.communicate(timeout=seconds)
    return run.returncode, output


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def standing(url: str) -> tuple[Counts, StopReason | None, bool]:
    store = open_store(url)
    try:
        (progress,) = store.readings.progress().values()
        return progress.counts, progress.stop_reason, progress.limits.paused
    finally:
        store.close()


def test_two_runs_share_the_budget(tmp_path: Path, store_url: str) -> None:
    runs = [Laptop(tmp_path / name, store_url).run() for name in ("a", "b")]
    for run in runs:
        code, output = end_of(run)
        assert code == 0, output
    laptop = Laptop(tmp_path / "c", store_url)
    assert laptop.starts == Counter({str(number): 1 for number in range(8)})
    assert standing(store_url)[:2] == (Counts(complete=8), StopReason.BUDGET_USED)


def test_a_run_that_is_stopped_stops_no_other(tmp_path: Path, sqlite_url: str) -> None:
    first, second = (Laptop(tmp_path / name, sqlite_url, trials=14) for name in ("a", "b"))
    one, other = first.run(), second.run()
    until(lambda: len(first.starts) >= 3)
    one.send_signal(signal.SIGINT)
    assert end_of(one)[0] == 130
    assert not standing(sqlite_url)[2], "the other one goes on"
    code, output = end_of(other)
    assert code == 0, output
    assert standing(sqlite_url)[0] == Counts(complete=14)


def test_the_last_run_that_is_stopped_pauses_the_study(tmp_path: Path, sqlite_url: str) -> None:
    laptops = [Laptop(tmp_path / name, sqlite_url, trials=100) for name in ("a", "b")]
    runs = [laptop.run() for laptop in laptops]
    until(lambda: len(laptops[0].starts) >= 4)
    for run in runs:
        run.send_signal(signal.SIGINT)
    assert [end_of(run)[0] for run in runs] == [130, 130]
    assert standing(sqlite_url)[2]


def test_a_run_that_was_killed_leaves_its_trial_to_the_next_at_once(tmp_path: Path, sqlite_url: str) -> None:
    laptop = Laptop(tmp_path / "a", sqlite_url, trials=4)
    run = laptop.run()
    until(lambda: len(laptop.starts) >= 1)
    workers = psutil.Process(run.pid).children(recursive=True)
    for process in (psutil.Process(run.pid), *workers):
        process.kill()
    end_of(run)
    _, output = end_of(laptop.run(), seconds=20)  # by silence alone it would take a minute
    assert standing(sqlite_url)[0] == Counts(complete=4), output


class TestRetiredWorkers:
    def test_leave_the_others(self, store: Store, begin: StartRound) -> None:
        study = begin()
        for worker in ("mine-0", "mine-1", "other"):
            store.as_worker(worker).claims.record_heartbeat(study)
        silent = timedelta(seconds=60)
        assert store.claims.forget_workers(study, ["mine-0", "mine-1"], stale_after=silent)
        assert not store.claims.forget_workers(study, ["other"], stale_after=silent)

    def test_count_others_that_went_silent_as_ended(self, store: Store, begin: StartRound) -> None:
        study = begin()
        store.as_worker("other").claims.record_heartbeat(study)
        assert not store.claims.forget_workers(study, ["mine"], stale_after=timedelta(seconds=-1))


class TestAnIdentity:
    MINE = RunIdentity.of_this_process()

    @pytest.mark.parametrize(
        ("other", "dead"),
        [
            (MINE, False),
            (RunIdentity(MINE.host, MINE.machine, 2**22 + 1, MINE.started), True),
            (RunIdentity(MINE.host, MINE.machine, MINE.pid, MINE.started - 60), True),
            (RunIdentity(MINE.host, "0" * 8, 2**22 + 1, MINE.started), False),
        ],
        ids=["itself", "no such process", "another process of its number", "another machine"],
    )
    def test_knows_what_became_of_runs_on_its_machine(self, other: RunIdentity, dead: bool) -> None:
        assert self.MINE.knows_dead(other.worker("worker-0")) is dead

    def test_knows_nothing_of_other_names(self) -> None:
        assert not self.MINE.knows_dead("digits-r1-0-abcde")

    def test_is_shown_without_its_host_where_there_is_one_alone(self) -> None:
        again = RunIdentity(self.MINE.host, self.MINE.machine, 7, 7)
        elsewhere = RunIdentity("desk", "0" * 8, 7, 7)
        names = [run.worker("worker-0") for run in (self.MINE, again)]
        assert set(display_names(names).values()) == {"worker-0"}
        assert display_names([*names, elsewhere.worker("worker-0")])[elsewhere.worker("worker-0")] == "worker-0@desk"
        shares = {names[0]: Counts(complete=2), names[1]: Counts(complete=3, failed=1)}
        assert by_display_name(shares) == {"worker-0": Counts(complete=5, failed=1)}
