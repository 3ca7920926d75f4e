"""A Python function as files that worker processes load, and a digest of what it does. Used by Study for local runs.

The function travels by value (cloudpickle), so that it may be defined in a notebook's cell. Modules that can be
imported travel by name.
"""

import hashlib
import inspect
import io
import json
import linecache
import types
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
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
from pathlib import Path

for name, text in json.loads(Path(__file__).with_name({sources!r}).read_text()).items():  # for tracebacks
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
function = pickle.loads(Path(__file__).with_name({pickle!r}).read_bytes())


def {name}(trial):
    return function({argument})
'''
_TRIAL_NAMES = ("trial",)
_NO_FILE = "<dynamic-code>"  # cloudpickle's


@dataclass(frozen=True)
class ShippedFunction:
    files: Mapping[str, bytes]
    """By name, for the folder that workers import MODULE from."""
    digests: Mapping[str, str]
    """Of what the function does, by the name of the part: its own code, and the modules beside it that it uses."""


def ship(function: Callable[..., Any], folder: Path) -> ShippedFunction:
    """The function for worker processes that start in `folder`. Raises WrongUse for one that cannot travel."""
    try:
        content = _dumps(function)
    except Exception as error:
        raise WrongUse(
            f"objective: {_name(function)} cannot be sent to worker processes ({type(error).__name__}: {error}); "
            "make what it names inside the function"
        ) from error
    loader = _LOADER.format(
        pickle=_PICKLE,
        sources=_SOURCES,
        name=FUNCTION,
        argument="trial" if takes_trial(function) else "dict(trial.params)",
    )
    used = list(_used("", function, set()))
    own = hashlib.sha256(loader.encode())
    for name, value in used:
        own.update(name.encode())
        for part in _meaning(value):
            own.update(part)
    digests = {f"{_name(function)}()": own.hexdigest()[:32]}
    for module in sorted({module for _, value in used for module in _modules(value)}):
        digests |= module_digests(module, folder)
    cells = {code.co_filename for _, value in used for code in _codes(value)}
    sources = json.dumps({file: "".join(linecache.getlines(file)) for file in sorted(cells)})
    files = {f"{MODULE}.py": loader.encode(), _PICKLE: content, _SOURCES: sources.encode()}
    return ShippedFunction(files, digests)


def _dumps(function: Callable[..., Any]) -> bytes:
    """Pickled by value, each function with the name of the file that it comes from: newer releases of cloudpickle leave
    that out, and a traceback would then find no source."""
    import cloudpickle

    def reduced(code: types.CodeType) -> tuple[Any, ...]:
        made, arguments = cloudpickle.Pickler.dispatch_table[types.CodeType](code)
        return made, tuple(code.co_filename if argument == _NO_FILE else argument for argument in arguments)

    class Pickler(cloudpickle.Pickler):
        dispatch_table = ChainMap({types.CodeType: reduced}, cloudpickle.Pickler.dispatch_table)

    written = io.BytesIO()
    Pickler(written).dump(function)
    return written.getvalue()


def takes_trial(function: Callable[..., Any]) -> bool:
    """Whether the function wants the optuna.Trial: its argument is called `trial`, or annotated so."""
    try:
        first = next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):
        return False
    if first is None:
        raise WrongUse(f"objective: {_name(function)} takes no argument: give it one, a dict of the parameters")
    annotation = first.annotation if isinstance(first.annotation, str) else getattr(first.annotation, "__name__", "")
    return first.name in _TRIAL_NAMES or annotation.rpartition(".")[2] in ("Trial", "BaseTrial")


def _used(name: str, value: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """`value` and, of a function or class of the main program, all that it names, in turn. What can be imported travels
    by name, and is not looked into."""
    if id(value) in seen:
        return
    seen.add(id(value))
    yield name, value
    for function in _functions(value):
        closure = inspect.getclosurevars(function)
        for other, found in sorted({**closure.globals, **closure.nonlocals}.items()):
            yield from _used(other, found, seen)


def _functions(value: Any) -> list[types.FunctionType]:
    """The function itself, or a class's methods, if the main program defines it."""
    if getattr(value, "__module__", None) != "__main__":
        return []
    if isinstance(value, types.FunctionType):
        return [value]
    members = [value_of for _, value_of in sorted(vars(value).items())] if isinstance(value, type) else []
    plain = [getattr(member, "__func__", getattr(member, "fget", member)) for member in members]
    return [member for member in plain if isinstance(member, types.FunctionType)]


def _codes(value: Any) -> list[types.CodeType]:
    whose = value if isinstance(value, types.FunctionType | type) else type(value)  # an instance that can be called
    return [function.__code__ for function in _functions(whose)]


def _meaning(value: Any) -> Iterator[bytes]:
    """What decides about results, without where it stands: the same cell run again means the same."""
    if isinstance(value, types.ModuleType):
        yield value.__name__.encode()
    elif isinstance(value, types.FunctionType | type):
        yield f"{value.__module__}.{value.__qualname__}".encode()
        for function in _functions(value):
            yield from _code(function.__code__)
            yield _pickled((function.__defaults__, function.__kwdefaults__))
    else:
        yield _pickled(value)


def _code(code: types.CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr(code.co_names).encode()
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code(constant)
        elif not isinstance(constant, frozenset):
            yield repr(constant).encode()
        else:
            yield repr(sorted(map(repr, constant))).encode()


def _pickled(value: Any) -> bytes:
    import cloudpickle

    try:
        content: bytes = cloudpickle.dumps(value)
    except Exception:
        return type(value).__name__.encode()
    return hashlib.sha256(content).digest()


def _modules(value: Any) -> set[str]:
    """Modules that are used with the value: those of them that lie beside the program count with their files."""
    if isinstance(value, types.ModuleType):
        return {value.__name__}
    home = getattr(value, "__module__", None)
    imported_inside = {name for function in _functions(value) for name in inspect.getclosurevars(function).unbound}
    return imported_inside | ({home} if isinstance(home, str) and home != "__main__" else set())


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
