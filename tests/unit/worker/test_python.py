"""An ordinary Optuna objective, from files beside the worker."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from builders import MAXIMIZE, MINIMIZE, make_spec
from tuning_worker.exceptions import ObjectiveRejected, TrialFailed
from tuning_worker.objectives.python import PythonFunction

from .runs import make_run

CODE = """
import numpy
def number(trial): return trial.params["x"] * 2
def pair(trial): return 0.9, 3
def listed(trial): return [0.9, 3]
def mapping(trial): return {"accuracy": 0.9, "note": 1}
def suggests(trial): return trial.suggest_float("own", 2, 2)
def text(trial): return "0.9"
def array(trial): return numpy.array([0.9, 3.0])
def tensor(trial): return numpy.array(0.9)
def nothing(trial): pass
def generator(trial): yield 0.9
async def coroutine(trial): return 0.9
value = 5
"""
Make = Callable[..., PythonFunction]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """An objective of a module that holds CODE, or other code."""
    path, loaded = list(sys.path), set(sys.modules)

    def made(function: str, code: str = CODE, **fields: Any) -> PythonFunction:
        (tmp_path / "objective_under_test.py").write_text(code)
        spec = make_spec(objective={"python": {"function": f"objective_under_test:{function}"}}, **fields)
        assert spec.objective.python is not None
        return PythonFunction.load(spec.objective.python, spec, tmp_path)

    yield made
    sys.path[:] = path
    for name in set(sys.modules) - loaded:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("function", "metrics", "expected"),
    [
        ("number", [MAXIMIZE], {"accuracy": 1.0}),
        ("pair", [MAXIMIZE, MINIMIZE], {"accuracy": 0.9, "latencyMs": 3}),
        ("listed", [MAXIMIZE, {"name": "recorded"}, MINIMIZE], {"accuracy": 0.9, "latencyMs": 3}),
        ("mapping", [MAXIMIZE], {"accuracy": 0.9, "note": 1}),
        ("array", [MAXIMIZE, MINIMIZE], {"accuracy": 0.9, "latencyMs": 3}),
        ("tensor", [MAXIMIZE], {"accuracy": 0.9}),
        ("suggests", [MAXIMIZE], {"accuracy": 2}),
        ("text", [MAXIMIZE], {"accuracy": "0.9"}),
    ],
)
def test_what_it_returns_becomes_metrics(
    make: Make, tmp_path: Path, function: str, metrics: list[Any], expected: dict[str, Any]
) -> None:
    run = make_run(tmp_path, point={"x": 0.5})
    assert make(function, metrics=metrics)(run) == expected


@pytest.mark.parametrize(("function", "values"), [("pair", 2), ("number", 1)])
def test_as_many_values_as_objectives_are_wanted(make: Make, tmp_path: Path, function: str, values: int) -> None:
    metrics = [MAXIMIZE] if values == 2 else [MAXIMIZE, MINIMIZE]
    with pytest.raises(TrialFailed, match=f"returned {values} values for {3 - values} objectives \\(accuracy"):
        make(function, metrics=metrics)(make_run(tmp_path, point={"x": 0.5}))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("nothing", "the objective returned nothing: end it with `return` and its value, on each way through it"),
        ("generator", "the objective has a `yield`, so it returns no value: write `return`; trial.report is for steps"),
        ("coroutine", r"the objective is an `async def`: write a `def`, with asyncio.run\(…\) in it"),
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
def test_a_function_without_a_value_is_told_what_to_write(
    make: Make, tmp_path: Path, function: str, message: str
) -> None:
    with pytest.raises(TrialFailed, match=message):
        make(function, metrics=[MAXIMIZE, MINIMIZE])(make_run(tmp_path, point={"x": 0.5}))


def test_the_manifests_parameters_are_the_trials_before_the_function_is_called(make: Make, tmp_path: Path) -> None:
    run = make_run(tmp_path, point={"x": 0.25})
    assert make("number")(run) == {"accuracy": 0.5}
    assert run.trial.params == {"x": 0.25}


@pytest.mark.parametrize(
    ("function", "code", "message"),
    [
        ("absent", CODE, "the module objective_under_test has no function 'absent'"),
        ("value", CODE, "objective_under_test:value is not a function"),
        ("number", "import no_such_package", "does not import in the worker: ModuleNotFoundError"),
        ("number", "def number(:", "does not import in the worker: SyntaxError"),
        ("number", "import sys; sys.no_such_thing", "does not import in the worker: AttributeError"),
    ],
)
def test_a_function_that_cannot_be_had_rejects_the_study(make: Make, function: str, code: str, message: str) -> None:
    with pytest.raises(ObjectiveRejected, match=message):
        make(function, code)


@pytest.mark.parametrize(
    "starts", ["import tuning; tuning.tune(objective, trials=-1)", "optuna.create_study().optimize(1, n_jobs=0)"]
)
def test_a_module_that_tunes_when_it_is_imported_is_told_how_not_to(make: Make, starts: str) -> None:
    code = f"import optuna\ndef objective(trial): return 1.0\n{starts}\n"
    with pytest.raises(ObjectiveRejected, match='put what runs it under `if __name__ == "__main__":`'):
        make("objective", code)


def test_a_module_that_is_not_there_rejects_the_study(tmp_path: Path) -> None:
    spec = make_spec(objective={"python": {"function": "no_such_module:f"}})
    assert spec.objective.python is not None
    with pytest.raises(ObjectiveRejected, match="no_such_module does not import"):
        PythonFunction.load(spec.objective.python, spec, None)
