"""`import tuning` as its users meet it: programs of their own, real worker processes, a real embedded PostgreSQL."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

import tuning

HEAD = """\
import json, os, time
import tuning

def objective(params):
    return (params["x"] - 2) ** 2

def tell(**values):
    print("told", json.dumps(values))

SPACE = {"x": (-10.0, 10.0)}
"""


class Program:
    """A folder with a program in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, source: str) -> "subprocess.Popen[str]":
        (self.folder / "program.py").write_text(HEAD + source)
        command = [sys.executable, "program.py"]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, stdout=pipe, stderr=pipe, text=True)

    def run(self, source: str) -> dict[str, object]:
        out, err = self.start(source).communicate(timeout=120)
        told = re.search(r"^told (.*)$", out, re.MULTILINE)
        assert told, out + err
        found: dict[str, object] = json.loads(told[1])
        return found | {"out": out, "err": err}


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def test_a_function_is_tuned_and_its_results_are_at_hand(program: Program) -> None:
    told = program.run("""
study = tuning.tune(objective, parameters=SPACE, trials=30, workers=3)
frame = study.trials_frame()
tell(best=study.best_value, params=study.best_params, state=study.state, rows=len(frame), columns=list(frame.columns),
     optuna=study.optuna.best_value, name=study.name, loaded=tuning.load().best_params, names=tuning.studies(),
     report=str(study.report()), plot=len(study.plot_history().data[0].x), pareto=len(study.pareto()))
""")
    assert told["best"] == told["optuna"] == (told["params"]["x"] - 2) ** 2  # type: ignore[index]
    assert (told["state"], told["rows"], told["plot"], told["pareto"]) == ("Complete", 30, 30, 1)
    assert told["loaded"] == told["params"]
    assert told["names"] == [told["name"]] == ["objective"]
    assert told["columns"] == [
        *("trial", "state", "worker", "seconds", "feasible", "artifacts", "reason", "value", "params_x")
    ]
    assert (program.folder / str(told["report"])).exists()


def test_the_same_call_goes_on_and_a_changed_function_begins_a_round(program: Program) -> None:
    call = "study = tuning.tune(objective, parameters=SPACE, trials={}, workers=1)\n"
    program.run(call.format(6) + "tell()")
    more = program.run(call.format(9) + "tell(trials=len(study.trials_frame()))")
    assert more["trials"] == 9
    assert "round" not in str(more["out"]) + str(more["err"])
    changed = "def objective(params):\n    return (params['x'] - 3) ** 2\n" + call.format(5)
    told = program.run(changed + "tell(complete=int((study.trials_frame()['state'] == 'Complete').sum()))")
    assert told["complete"] == 5
    assert "objective() changed since round 1: round 2 begins" in str(told["out"]) + str(told["err"])


def test_a_function_may_suggest_its_own_parameters(program: Program) -> None:
    told = program.run("""
def define(trial):
    trial.report(1.0, 0)
    return trial.suggest_float("y", 0, 1) + trial.suggest_int("n", 1, 3)
study = tuning.tune(define, trials=5, workers=2, progress=False)
tell(params=sorted(study.best_params), name=study.name)
""")
    assert (told["params"], told["name"], str(told["err"])) == (["n", "y"], "define", "")


def test_the_function_finds_what_its_program_defines(program: Program) -> None:
    told = program.run("""
import functools, multiprocessing, pickle

class Model:
    def __init__(self, x):
        self.x = x

@functools.lru_cache
def data(rows):
    return list(range(rows))

def squared(x):
    return x * x

def train(rows, params):
    with open(os.environ["TUNING_ARTIFACTS_DIR"] + "/model.pkl", "wb") as file:
        pickle.dump(Model(params["x"]), file)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return sum(pool.map(squared, data(rows)))

study = tuning.tune(functools.partial(train, 3), parameters=SPACE, trials=3, workers=1)
with open(study.trials_frame()["artifacts"].dropna().iloc[0] + "/model.pkl", "rb") as file:
    kept = pickle.load(file)
tell(best=study.best_value, name=study.name, kept=kept.x)
""")
    assert (told["best"], told["name"]) == (5, "train")
    assert isinstance(told["kept"], float)


def test_a_study_that_fails_raises_with_the_reason(program: Program) -> None:
    told = program.run("""
def breaks(params):
    raise ValueError("no such column: age")
try:
    tuning.tune(breaks, parameters=SPACE, trials=5, workers=1, spec={"budget": {"failedTrials": 2}})
except tuning.TuningError as error:
    tell(said=str(error))
""")
    assert "ValueError: no such column: age" in str(told["said"])


def test_an_interrupt_leaves_a_study_that_can_be_gone_on_with(program: Program) -> None:
    slow = "def objective(params):\n    time.sleep(0.1)\n    open('began', 'w')\n    return params['x']\n"
    call = "study = tuning.tune(objective, parameters=SPACE, trials={}, workers=2)\n"
    process = program.start(slow + call.format(1000))
    deadline = time.monotonic() + 60
    while not (program.folder / "began").exists():
        if time.monotonic() > deadline or process.poll() is not None:
            process.kill()
            pytest.fail(process.communicate()[1])
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert err.strip().endswith("KeyboardInterrupt: objective is stopped; run it again to go on")

    told = program.run(slow + "study = tuning.load()\ntell(done=len(study.trials_frame()))")
    done = int(str(told["done"]))
    assert 1 <= done < 1000
    again = program.run(slow + call.format(done + 4) + "tell(done=len(study.trials_frame()))")
    assert again["done"] == done + 4


def test_a_study_of_another_folder_or_store(program: Program) -> None:
    told = program.run("""
tuning.tune(objective, parameters=SPACE, trials=3, folder="elsewhere", name="mine", progress=False)
tuning.tune(objective, parameters=SPACE, trials=4, storage="sqlite:///s.db", name="other", progress=False)
tell(mine=len(tuning.load("mine", folder="elsewhere").trials_frame()), names=tuning.studies(storage="sqlite:///s.db"),
     other=len(tuning.load("other", storage="sqlite:///s.db").trials_frame()))
""")
    assert (told["mine"], told["other"], told["names"]) == (3, 4, ["other"])


@pytest.mark.parametrize("storage", ["sqlite", "postgres", "mariadb"])
def test_processes_that_share_an_optuna_study_use_its_budget_exactly(
    program: Program, storage: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(f"{storage}_url")
    source = f"""
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(storage=tuning.open_storage({url!r}), study_name="shared", load_if_exists=True)
ran = []
def own(trial):
    ran.append(trial.number)
    x = trial.suggest_float("x", 0, 1)
    if trial.number % 10 == 3:
        raise optuna.TrialPruned
    if trial.number % 10 == 4:
        raise ValueError("broken")
    return x
tuning.optimize(study, own, trials=40, catch=ValueError)
tell(ran=ran)
"""
    tuning.open_storage(url)
    optuna.create_study(storage=tuning.open_storage(url), study_name="shared")
    processes = []
    for index in range(3):
        folder = program.folder / str(index)
        folder.mkdir()
        processes.append(Program(folder).start(source))
    ended = [process.communicate(timeout=120) for process in processes]
    ran = [json.loads(out.split("told ", 1)[1])["ran"] for out, err in ended if out or pytest.fail(err)]
    trials = optuna.load_study(study_name="shared", storage=tuning.open_storage(url)).get_trials()
    states = [trial.state.name for trial in trials]
    assert states.count("COMPLETE") + states.count("PRUNED") == 40
    assert set(states) == {"COMPLETE", "PRUNED", "FAIL"}
    assert sorted(number for numbers in ran for number in numbers) == [trial.number for trial in trials]


def test_an_error_of_the_objective_is_raised_and_its_trial_has_failed(sqlite_url: str) -> None:
    study = optuna.create_study(storage=tuning.open_storage(sqlite_url))

    def broken(_: optuna.Trial) -> float:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        tuning.optimize(study, broken, trials=3)
    assert [trial.state.name for trial in study.get_trials()] == ["FAIL"]


def test_a_study_in_memory_has_no_budget_for_several_processes() -> None:
    with pytest.raises(tuning.WrongUse, match="this study is on InMemoryStorage: make it with"):
        tuning.optimize(optuna.create_study(), lambda trial: 1.0, trials=1)


def test_import_is_cheap() -> None:
    code = "import sys, tuning; print([m for m in ('optuna', 'pandas', 'sqlalchemy', 'pydantic') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert out.stdout == "[]\n"
