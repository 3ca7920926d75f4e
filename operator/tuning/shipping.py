"""A Python function as files that worker processes load, and a digest of what it does. Used by Study for local runs.

The function travels by value (cloudpickle), so that it may be defined in a notebook's cell. Modules that can be
imported travel by name.
"""

import inspect
import json
import linecache
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning_client.exceptions import WrongUse
from tuning_client.local.files import module_digests

MODULE, FUNCTION = "tuning_function", "objective"
_PICKLE = "function.pkl"
_SOURCES = "sources.json"
_LOADER = '''\
"""The objective that a Python program gave to tuning, for its worker processes."""

import json
import linecache
import pickle
import sys
import types
from pathlib import Path

for name, text in json.loads(Path(__file__).with_name({sources!r}).read_text()).items():  # for tracebacks
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
with Path(__file__).with_name({pickle!r}).open("rb") as file:
    unpickler = pickle.Unpickler(file)
    function, of_main_program = unpickler.load(), unpickler.load()
main = types.ModuleType("__main__")  # where pickle looks for them: in processes of its own, in models that it keeps
vars(main).update(of_main_program)
sys.modules["__main__"] = main


def {name}(trial):
    return function({argument})
'''
_TRIAL_NAMES = ("trial",)


@dataclass(frozen=True)
class ShippedFunction:
    files: Mapping[str, bytes]
    """By name, for the folder that workers import MODULE from."""
    digests: Mapping[str, str]
    """Of what the function does, by the name of the part: its own code, and the modules beside it that it uses."""


def ship(function: Callable[..., Any], folder: Path) -> ShippedFunction:
    """The function for worker processes that start in `folder`. Raises WrongUse for one that cannot travel."""
    from tuning import meaning, pickling

    argument = "trial" if takes_trial(function) else "dict(trial.params)"
    loader = _LOADER.format(pickle=_PICKLE, sources=_SOURCES, name=FUNCTION, argument=argument)
    try:
        pickled = pickling.pickled(function)
    except pickling.CannotPickle as error:
        raise WrongUse(
            f"objective: {_name(function)} cannot be sent to worker processes ({error}); "
            f"make {error.name or 'what it names'} inside the function"
        ) from error
    digests = {f"{_name(function)}()": meaning.digest(argument, function, pickled)}
    functions = [value for value in pickled.by_value if isinstance(value, types.FunctionType)]
    for module in sorted(pickled.modules.union(*map(_imported_inside, functions))):
        digests |= module_digests(module, folder)
    of_main = {each.__code__.co_filename for each in functions if each.__module__ == "__main__"}
    sources = json.dumps({file: "".join(linecache.getlines(file)) for file in sorted(of_main)})
    files = {f"{MODULE}.py": loader.encode(), _PICKLE: pickled.content, _SOURCES: sources.encode()}
    return ShippedFunction(files, digests)


def _imported_inside(function: types.FunctionType) -> set[str]:
    return set(inspect.getclosurevars(function).unbound)


def takes_trial(function: Callable[..., Any]) -> bool:
    """Whether the function wants the optuna.Trial: its argument is called `trial`, or annotated so. Raises WrongUse for
    one that cannot be called with one argument."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return False
    try:
        signature.bind(None)
    except TypeError:
        raise WrongUse(
            f"objective: {_name(function)}{signature} is called with one argument, a dict of the parameters: write "
            f"`def {_name(function)}(params)`; what else it needs may be bound by functools.partial"
        ) from None
    first = next(iter(signature.parameters.values()))
    annotation = first.annotation if isinstance(first.annotation, str) else getattr(first.annotation, "__name__", "")
    return first.name in _TRIAL_NAMES or annotation.rpartition(".")[2] in ("Trial", "BaseTrial")


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
