"""Studies of a folder as things that are there: listed, looked into, opened by others, deleted."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
import psutil
import pytest

STUDY = """\
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata: {name: small}
spec:
  metrics: [{name: loss, direction: Minimize}]
  objective: {python: {function: "objective:objective"}}
  budget: {trials: 3}
  strategy: {sampler: {type: Random}}
  workers: {replicas: 1}
"""
OBJECTIVE = """\
def objective(trial):
    x = trial.suggest_float("x", 0, 1)
    trial.set_user_attr("epochs", 7)
    print(f"training with seed {trial.number * 11}")
    trial.report(x, 1)
    if trial.number == 1:
        raise KeyError("age")
    return x
"""


def tuning(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command of somebody who knows no cluster."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "KUBECONFIG": str(folder / "none")}
    command = [sys.executable, "-m", "tuning_cli.app", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=90)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "objective.py").write_text(OBJECTIVE)
    run = tuning(tmp_path, "run", "study.yaml")
    assert run.returncode == 0, run.stderr
    return tmp_path


def test_where_no_cluster_is_known_commands_look_at_the_folder(folder: Path) -> None:
    (row,) = json.loads(tuning(folder, "status", "-o", "json").stdout)
    assert (row["name"], row["state"], row["trials"]) == ("small", "Complete", "3/3")
    assert "no cluster to ask" in tuning(folder, "status", "-n", "team").stderr


@pytest.mark.parametrize("arguments", [("list",), ("status",), ("best", "small"), ("list", "--local")])
def test_an_empty_folder_is_told_as_what_it_is(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    told = tuning(tmp_path, *arguments)
    assert told.returncode == 2
    assert "no study has run in this folder yet" in told.stderr
    assert "`tuning run FILE` runs one" in told.stderr
    assert ("KUBECONFIG" in told.stderr) is ("--local" not in arguments)


def test_a_round_for_each_change(folder: Path) -> None:
    (folder / "objective.py").write_text(OBJECTIVE.replace("0, 1", "5, 6"))
    tuning(folder, "run", "study.yaml")
    rows = json.loads(tuning(folder, "list", "-o", "json").stdout)
    assert [(row["name"], row["round"], row["state"], row["trials"]) for row in rows] == [
        ("small", 1, "Complete", "3/3"),
        ("small", 2, "Complete", "3/3"),
    ]
    assert "of round 2; `tuning list` shows the others" in tuning(folder, "best").stdout
    assert json.loads(tuning(folder, "best", "--round", "1", "-o", "json").stdout)["metrics"]["loss"] < 1
    assert "small has no round 3; it has 1, 2" in tuning(folder, "best", "--round", "3").stderr

    assert tuning(folder, "delete", "small", "--round", "1", "--yes").stdout == "round 1 of small is deleted\n"
    assert [row["round"] for row in json.loads(tuning(folder, "list", "-o", "json").stdout)] == [2]


def test_a_folder_that_was_moved_has_its_files_where_it_is(folder: Path) -> None:
    keeps = """\
import os
from pathlib import Path

def objective(trial):
    Path(os.environ["TUNING_ARTIFACTS_DIR"], "model").write_text("trained")
    return trial.suggest_float("x", 0, 1)
"""
    (folder / "objective.py").write_text(keeps)
    tuning(folder, "run", "study.yaml")
    moved = folder.rename(folder.with_name("moved"))
    best = json.loads(tuning(moved, "best", "-o", "json").stdout)
    assert (Path(best["artifacts"]).is_relative_to(moved), Path(best["artifacts"], "model").read_text()) == (
        True,
        "trained",
    )


def test_a_trial_in_full(folder: Path) -> None:
    told = tuning(folder, "trials", "small", "--trial", "1").stdout
    assert "reason   KeyError: 'age' (objective.py:7)" in told
    assert 'objective.py", line 7, in objective\n    raise KeyError("age")' in told
    good = json.loads(tuning(folder, "trials", "--trial", "0", "-o", "json").stdout)
    assert (good["attributes"], list(good["reports"])) == ({"epochs": 7}, ["1"])
    assert "there is no trial 99" in tuning(folder, "trials", "--trial", "99").stderr


def test_the_best_as_something_to_paste(folder: Path) -> None:
    x = json.loads(tuning(folder, "best", "-o", "json").stdout)["parameters"]["x"]
    assert tuning(folder, "best", "-o", "python").stdout == f"{{'x': {x}}}\n"
    assert tuning(folder, "best", "-o", "env").stdout == f"TUNING_PARAM_X={x}\n"


def test_the_output_of_a_trial(folder: Path) -> None:
    every = tuning(folder, "logs").stdout
    assert [line for line in every.splitlines() if "training" in line] == [
        f"worker-0: training with seed {seed}" for seed in (0, 11, 22, 33)
    ]
    one = tuning(folder, "logs", "small", "--trial", "1").stdout
    assert "training with seed 11" in one and "KeyError" in one
    assert "training with seed 22" not in one
    assert "there is no output of trial 99" in tuning(folder, "logs", "--trial", "99").stderr


def test_deleting_takes_everything_and_asks_first(folder: Path) -> None:
    assert "say so with --yes" in tuning(folder, "delete", "small").stderr
    assert tuning(folder, "delete", "small", "-y").stdout == "small is deleted\n"
    assert "holds no study yet" in tuning(folder, "best").stderr
    assert [path.name for path in (folder / ".tuning").rglob("small*")] == ["small.lock"]


@pytest.fixture
def keeper(folder: Path) -> Iterator[Path]:
    yield folder
    for process in psutil.process_iter(["cmdline"]):
        if "tuning_client.local.keeper" in (process.info["cmdline"] or []) and str(folder) in " ".join(
            process.info["cmdline"]
        ):
            process.terminate()
            process.wait(20)
    left = [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(folder) in " ".join(process.info["cmdline"] or [])
    ]
    assert psutil.wait_procs(left, timeout=20)[1] == [], "the server outlived its keeper"


def test_the_store_stays_up_for_others_until_nobody_uses_it(keeper: Path) -> None:
    told = tuning(keeper, "url", "--idle", "1")
    url = told.stdout.strip()
    assert re.search(r"^  local/small/r1$", told.stderr, re.MULTILINE)
    storage = optuna.storages.RDBStorage(url)  # as load_study makes it of a URL
    assert len(optuna.load_study(study_name="local/small/r1", storage=storage).get_trials()) == 4
    storage.engine.dispose()
    assert tuning(keeper, "url", "--idle", "1").stdout.strip() == url


def test_a_store_that_nobody_uses_stops(folder: Path) -> None:
    from tuning_client.local.keeper import keep_running

    keep_running(folder / ".tuning", idle=1)
    postgres = int((folder / ".tuning/postgres/postmaster.pid").read_text().splitlines()[0])
    deadline = time.monotonic() + 30
    while psutil.pid_exists(postgres):
        assert time.monotonic() < deadline, "the store still runs"
        time.sleep(0.1)
