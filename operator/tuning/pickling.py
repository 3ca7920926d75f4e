"""A function of a program or notebook as bytes, by value where a worker process could not import it. Used by shipping.

What goes by name is left to the worker's own imports: installed packages, and modules beside the program.
"""

import functools
import inspect
import io
import sys
import types
from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cloudpickle

_NO_FILE = "<dynamic-code>"  # cloudpickle's
_Cached = type(functools.lru_cache(len))


@dataclass(frozen=True)
class Pickled:
    content: bytes
    """Two pickles of one pickler: the function, and what it names of the main program by name."""
    by_value: list[types.FunctionType | type]
    """Functions and classes that go as code."""
    by_name: set[str]
    """What the worker imports, as `module.name`."""
    modules: set[str]
    """Where that is."""


class CannotPickle(Exception):
    """`name` is the variable that holds what cannot, where it is known."""

    def __init__(self, error: Exception, name: str | None) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.name = name


def pickled(function: Callable[..., Any]) -> Pickled:
    """Raises CannotPickle."""
    written = io.BytesIO()
    pickler = _Pickler(written)
    try:
        pickler.dump(function)
    except Exception as error:
        raise CannotPickle(error, _name_of_unpicklable(pickler.by_value)) from error
    pickler.dump(_of_main_program(pickler.by_value))
    return Pickled(written.getvalue(), pickler.by_value, pickler.by_name, pickler.modules)


class _Pickler(cloudpickle.Pickler):
    """cloudpickle's, and it keeps what it met."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.by_value: list[types.FunctionType | type] = []
        self.by_name: set[str] = set()
        self.modules: set[str] = set()

    def reducer_override(self, value: Any) -> Any:
        reduced = super().reducer_override(value)
        if isinstance(value, types.ModuleType):
            self.modules.add(value.__name__)
        elif isinstance(value, types.FunctionType | type) and reduced is NotImplemented:
            self.by_name.add(f"{value.__module__}.{value.__qualname__}")
            self.modules.add(value.__module__)
        elif isinstance(value, types.FunctionType | type):
            self.by_value.append(value)
        return reduced


def _reduce_code(code: types.CodeType) -> tuple[Any, ...]:
    """With the name of its file: newer releases of cloudpickle leave that out, and a traceback finds no source."""
    made, arguments = cloudpickle.Pickler.dispatch_table[types.CodeType](code)
    return made, tuple(code.co_filename if argument == _NO_FILE else argument for argument in arguments)


def _reduce_cached(cached: Any) -> Any:
    """Of functools.lru_cache, which would go by name; with an empty cache."""
    if cached.__module__ != "__main__":
        return cached.__reduce__()
    return functools.lru_cache(**cached.cache_parameters()), (cached.__wrapped__,)


_Pickler.dispatch_table = ChainMap(
    {types.CodeType: _reduce_code, _Cached: _reduce_cached}, cloudpickle.Pickler.dispatch_table
)


def _of_main_program(by_value: list[types.FunctionType | type]) -> Mapping[str, Any]:
    main = vars(sys.modules["__main__"])
    return {value.__name__: value for value in by_value if main.get(value.__name__) is value}


def _name_of_unpicklable(by_value: list[types.FunctionType | type]) -> str | None:
    for function in reversed(by_value):
        if not isinstance(function, types.FunctionType):
            continue
        closure = inspect.getclosurevars(function)
        for name, value in sorted({**closure.globals, **closure.nonlocals}.items()):
            if not isinstance(value, types.FunctionType | type) and not _picklable(value):
                return name
    return None


def _picklable(value: Any) -> bool:
    try:
        _Pickler(io.BytesIO()).dump(value)
    except Exception:
        return False
    return True
