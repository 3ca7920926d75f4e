"""A function's way to worker processes: what it means decides, not where it stands."""

import linecache
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

import tuning
from tuning.shipping import FUNCTION, MODULE, ship, takes_trial


def cell(source: str, name: str = "objective", **names: Any) -> Any:
    """The function that a notebook's cell defines."""
    space: dict[str, Any] = {"__name__": "__main__", **names}
    exec(source, space)
    return space[name]


def digest(function: Any) -> dict[str, str]:
    return dict(ship(function, Path.cwd()).digests)


PLAIN = "def objective(params):\n    return params['x'] * 2\n"


def test_the_same_cell_run_again_means_the_same() -> None:
    assert digest(cell(PLAIN)) == digest(cell("\n\n# moved\n" + PLAIN))


@pytest.mark.parametrize(
    "other",
    [
        PLAIN.replace("* 2", "* 3"),
        PLAIN.replace("'x'", "'y'"),
        PLAIN.replace("params", "trial"),
        "def objective(params):\n    def inner():\n        return 2\n    return params['x'] * inner()\n",
    ],
)
def test_another_function_means_another_thing(other: str) -> None:
    assert digest(cell(PLAIN)) != digest(cell(other))


def test_what_the_function_uses_counts() -> None:
    source = "def helper(x):\n    return x * scale\n\ndef objective(params):\n    return helper(params['x'])\n"
    assert digest(cell(source, scale=2)) == digest(cell(source, scale=2))
    assert digest(cell(source, scale=2)) != digest(cell(source, scale=3))
    assert digest(cell(source, scale=2)) != digest(cell(source.replace("x * scale", "x + scale"), scale=2))


def test_a_module_beside_the_program_counts_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.py").write_text("import data\n")
    (tmp_path / "data.py").write_text("")
    monkeypatch.chdir(tmp_path)
    function = cell("def objective(params):\n    return model.fit(params)\n", model=types.ModuleType("model"))
    assert set(digest(function)) == {"objective()", "data.py", "model.py"}


def test_the_files_run_the_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in ship(cell(PLAIN), tmp_path).files.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__(MODULE)
    assert getattr(module, FUNCTION)(types.SimpleNamespace(params={"x": 4})) == 8


CELL = """\
def helper(x):
    raise ValueError(x)

class Model:
    def __call__(self, params):
        return helper(params["x"])

def objective(params):
    return helper(params["x"])
"""


@pytest.mark.parametrize("name", ["objective", "Model"])
@pytest.mark.parametrize("forgets_files", [False, True], ids=["", "a cloudpickle that forgets files"])
def test_a_traceback_shows_the_lines_of_a_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, forgets_files: bool
) -> None:
    table = cloudpickle.Pickler.dispatch_table.maps[0]
    reduce = table[types.CodeType]

    def forgetful(code: types.CodeType) -> Any:
        made, arguments = reduce(code)
        return made, tuple("<dynamic-code>" if argument == code.co_filename else argument for argument in arguments)

    if forgets_files:
        monkeypatch.setitem(table, types.CodeType, forgetful)
    file = f"<cell {name}>"
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(CELL, file, "exec"), space)
    monkeypatch.setitem(linecache.cache, file, (len(CELL), None, CELL.splitlines(keepends=True), file))
    given = space[name]() if name == "Model" else space[name]
    for each, content in ship(given, tmp_path).files.items():
        (tmp_path / each).write_bytes(content)

    program = f"""
import {MODULE}, traceback, types
try:
    {MODULE}.{FUNCTION}(types.SimpleNamespace(params={{'x': 'bad'}}))
except ValueError:
    traceback.print_exc()
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)

    assert f'File "{file}", line ' in ended.stderr
    assert 'return helper(params["x"])' in ended.stderr


@pytest.mark.parametrize(
    ("source", "want"),
    [
        ("def objective(params): ...", False),
        ("def objective(trial): ...", True),
        ("import optuna\ndef objective(t: optuna.Trial): ...", True),
        ("def objective(t: 'optuna.Trial'): ...", True),
        ("def objective(**params): ...", False),
    ],
)
def test_who_wants_the_trial(source: str, want: bool) -> None:
    assert takes_trial(cell(source)) is want


def test_a_function_that_cannot_travel_is_told_with_what_holds_it() -> None:
    function = cell("def objective(params):\n    with lock:\n        return 1\n", lock=threading.Lock())
    with pytest.raises(tuning.WrongUse, match=r"objective cannot be sent to worker processes .*lock"):
        ship(function, Path.cwd())


def test_a_function_without_an_argument() -> None:
    with pytest.raises(tuning.WrongUse, match="takes no argument: give it one, a dict of the parameters"):
        takes_trial(cell("def objective(): ..."))
