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


PROGRAM = """\
import functools, sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tuning.shipping import ship

class Kind(Enum):
    A = "a"
    B = "b"

@dataclass
class Config:
    rate: float = 0.1
    kinds: tuple = (Kind.A,)

class Base:
    depth = 1
    def run(self, params):
        return helper(params["x"]) * self.depth

class Model(Base):
    def __init__(self, config):
        self.config = config
    def __call__(self, params):
        return self.run(params)

def helper(x):
    return x * 2

@functools.lru_cache
def data(rows):
    return list(range(rows))

def train(config, params):
    return helper(len(data(3)))

NAMES = {"a", "b", "c", "d", "e", "f"}
NESTED = {"names": frozenset(NAMES), "how": [("help", helper)]}

def uses(params):
    return NESTED, NAMES, Config

for function in (functools.partial(train, Config()), Model(Config()).run, Model(Config()), uses):
    print(*ship(function, Path.cwd()).digests.values())
"""


def digests_of(program: Path, source: str) -> list[str]:
    program.write_text(source)
    return subprocess.run([sys.executable, program], capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_program_that_is_run_again_means_the_same(tmp_path: Path) -> None:
    first = digests_of(tmp_path / "one.py", PROGRAM)
    assert len(first) == 4
    assert digests_of(tmp_path / "two.py", "# moved\n\n" + PROGRAM) == first


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("x * 2", "x * 3", [0, 1, 2, 3]),
        ("range(rows)", "range(rows + 1)", [0]),
        ("depth = 1", "depth = 2", [1, 2]),
        ("rate: float = 0.1", "rate: float = 0.2", [0, 1, 2, 3]),
        ('B = "b"', 'B = "c"', [0, 1, 2, 3]),
        ('"f"}', '"g"}', [3]),
    ],
)
def test_whatever_goes_with_the_function_counts(tmp_path: Path, old: str, new: str, changed: list[int]) -> None:
    before = digests_of(tmp_path / "program.py", PROGRAM)
    after = digests_of(tmp_path / "program.py", PROGRAM.replace(old, new))
    assert [place for place, (one, other) in enumerate(zip(before, after, strict=True)) if one != other] == changed


def test_the_files_run_the_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in ship(cell(PLAIN), tmp_path).files.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # it puts the program's own there
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
        ("def objective(params, rows=9): ...", False),
        ("def objective(*args): ...", False),
    ],
)
def test_who_wants_the_trial(source: str, want: bool) -> None:
    assert takes_trial(cell(source)) is want


HELPER = "def helper(x):\n    with lock:\n        return x\n\ndef objective(params):\n    return helper(params['x'])\n"


def test_a_function_that_cannot_travel_is_told_with_the_name_of_what_holds_it() -> None:
    with pytest.raises(
        tuning.WrongUse, match=r"objective cannot be sent .*lock' object\); make lock inside the function"
    ):
        ship(cell(HELPER, lock=threading.Lock()), Path.cwd())


@pytest.mark.parametrize("arguments", ["", "x, y", "**params", "params, data"])
def test_a_function_that_one_argument_does_not_call(arguments: str) -> None:
    with pytest.raises(tuning.WrongUse, match=r"with one argument, a dict .*: write `def objective\(params\)`"):
        takes_trial(cell(f"def objective({arguments}): ..."))
