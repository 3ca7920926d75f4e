import json
import signal
from pathlib import Path

import pytest

from tuning_client.local.supervisor import (
    CrashStreak,
    TrialOutcome,
    classify_exit,
    describe,
    environment,
    last_lines,
    threads_each,
)

ENDED_BY = {
    # code, attempts: fate, counts as a crash
    (0, 1): (TrialOutcome.SETTLED, False),
    (78, 1): (TrialOutcome.SETTLED, False),
    (143, 1): (TrialOutcome.SETTLED, False),
    (1, 1): (TrialOutcome.RELEASED, True),
    (-signal.SIGTERM, 1): (TrialOutcome.RELEASED, True),
    (-signal.SIGKILL, 0): (TrialOutcome.RELEASED, True),
    (-signal.SIGKILL, 2): (TrialOutcome.RELEASED, True),
    (-signal.SIGKILL, 3): (TrialOutcome.FAILED, True),
}


@pytest.mark.parametrize(("ended", "want"), ENDED_BY.items())
def test_judge(ended: tuple[int, int], want: tuple[TrialOutcome, bool]) -> None:
    verdict = classify_exit(*ended)
    assert (verdict.outcome, verdict.crash) == want


def test_reasons_of_one_kind_read_the_same() -> None:
    assert classify_exit(3, 1).reason == classify_exit(3, 2).reason, "or failures could not be counted by reason"
    assert describe(-signal.SIGKILL) == "the worker was ended by SIGKILL"
    assert describe(-250) == "the worker was ended by signal 250"


def test_five_crashes_in_a_row_are_hopeless() -> None:
    streak = CrashStreak()
    for crash, finished, want in [
        (True, 0, False),
        (True, 0, False),
        (True, 0, False),
        (True, 0, False),
        (True, 1, False),  # a trial has finished: the count begins anew
        (False, 1, False),
        (True, 1, False),
        (True, 1, False),
        (True, 1, False),
        (True, 1, True),
    ]:
        streak.note(crash, finished)
        assert streak.workers_keep_crashing is want


def test_environment_limits_threads_unless_the_user_did() -> None:
    def made(base: dict[str, str]) -> dict[str, str]:
        return environment(
            base,
            round_file=Path("/r.json"),
            store_url="sqlite:///x",
            search=Path("/code"),
            folder=Path("/here"),
            threads=2,
            grace=30,
        )

    given = made({"OMP_NUM_THREADS": "7", "PYTHONPATH": "/mine", "PATH": "/bin"})
    assert given["OMP_NUM_THREADS"] == "7"
    assert given["OPENBLAS_NUM_THREADS"] == given["MKL_NUM_THREADS"] == "2"
    assert given["PYTHONPATH"] == "/code:/mine"
    assert made({})["PYTHONPATH"] == "/code", "an empty entry would mean the current folder"
    assert given["PATH"] == "/bin"


@pytest.mark.parametrize(("cores", "workers", "want"), [(8, 3, 2), (2, 3, 1), (4, 1, 4)])
def test_threads(cores: int, workers: int, want: int) -> None:
    assert threads_each(cores, workers) == want


def test_last_lines_are_for_people(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    assert last_lines(log) == []
    entry = {"event": "trial raised", "trial": 3, "level": "warning", "worker": "w", "exception": "Traceback\n  boom"}
    log.write_text("\n".join(["old", "printed [1]", json.dumps(entry), "", "[1, 2]", "Killed"]))
    assert last_lines(log, number=6) == [
        "printed [1]",
        "trial raised trial=3",
        "Traceback",
        "  boom",
        "[1, 2]",
        "Killed",
    ]
