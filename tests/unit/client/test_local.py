import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tuning_client.exceptions import WrongUse
from tuning_client.local import database
from tuning_client.local.database import Database
from tuning_client.local.execution import plain_env
from tuning_client.local.signals import Signals
from tuning_client.local.start import start_line
from tuning_client.local.view import activity
from tuning_client.studyfile import StudyFile
from tuning_client.target import Target
from tuning_store.values import RunningTrial
from tuning_study.api.spec import TuningStudySpec

SPEC: dict[str, Any] = {
    "metrics": [{"name": "x", "direction": "Minimize"}],
    "objective": {"python": {"function": "m:f"}},
    "budget": {"trials": 10},
}


def study(**change: Any) -> StudyFile:
    return StudyFile(Path("s.yaml"), "s", TuningStudySpec.model_validate(SPEC | change))


@pytest.mark.parametrize(
    ("alive", "restarting", "trial", "begun", "want"),
    [
        (True, False, None, False, "starting"),
        (True, False, None, True, "waiting"),
        (True, False, RunningTrial(3, "w", 0.2, 1), True, "trial 3"),
        (True, False, RunningTrial(3, "w", 2.4, 1), True, "trial 3 for 2s"),
        (False, True, RunningTrial(3, "w", 2.4, 1), True, "restarting"),
        (False, False, None, True, "ended"),
    ],
)
def test_doing(alive: bool, restarting: bool, trial: RunningTrial | None, begun: bool, want: str) -> None:
    assert activity(alive=alive, restarting=restarting, trial=trial, begun=begun) == want


def test_only_plain_environment_entries_mean_something_here() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {}}}, {"name": "C"}]
    assert plain_env(study(workers={"env": env}).spec) == {"A": "1"}


@pytest.mark.parametrize(
    ("budget", "workers", "want"),
    [
        ({"trials": 10}, 1, "s: 10 trials on 1 worker, SQLite"),
        ({"trials": 10, "duration": "90s"}, 3, "s: 10 trials or 1m30s on 3 workers, SQLite"),
        ({"duration": "1h"}, 2, "s: 1h on 2 workers, SQLite"),
    ],
)
def test_start_line(budget: dict[str, Any], workers: int, want: str) -> None:
    assert start_line(study(budget=budget), workers, Database("sqlite://", "SQLite")) == want


@pytest.mark.parametrize(
    ("url", "want"),
    [
        ("not a url", "not a database URL"),
        ("oracle://h/x", "oracle is not supported"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
    ],
)
def test_stores_that_cannot_be(url: str, want: str) -> None:
    with pytest.raises(WrongUse, match=want):
        database.checked(url)


def test_passwords_are_not_shown() -> None:
    url = database.checked("postgres://me:secret@host/db")
    assert "secret" in url
    assert "secret" not in database.shown(url)


def test_one_run_of_a_study_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "s.lock"
    second = database.only_run(lock, "s")
    with database.only_run(lock, "s"), pytest.raises(WrongUse, match="running already"), second:
        pass
    with database.only_run(lock, "s"):
        pass


def test_local_means_this_machine() -> None:
    assert Target().on_cluster
    assert not Target(local=True).on_cluster
    assert not Target(storage="sqlite:///x").on_cluster


def test_the_second_signal_kills() -> None:
    with Signals().caught() as signals:
        assert not signals.stop
        os.kill(os.getpid(), signal.SIGTERM)
        assert (signals.stop, signals.kill) == (True, False)
        os.kill(os.getpid(), signal.SIGINT)
        assert (signals.stop, signals.kill) == (True, True)
