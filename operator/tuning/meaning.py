"""A digest of what a Python function does: the same for the same cell run again, wherever it stands. Used by shipping.

Code counts without its place, data by their values; what a worker imports counts by its name alone.
"""

import hashlib
import inspect
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from joblib.hashing import Hasher, NumpyHasher

from tuning.pickling import Pickled

_DESCRIPTORS = (types.FunctionType, staticmethod, classmethod, property)  # their functions count by themselves


def digest(argument: str, function: Callable[..., Any], pickled: Pickled) -> str:
    """Of the function with all that goes with it; `argument` is what it is called with."""
    codes = sorted(_digest(_code_and_data(value)) for value in pickled.by_value)
    return _digest([argument, _of_value(function), *sorted(pickled.by_name), *codes])


def _digest(parts: Iterable[str]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part.encode(errors="surrogatepass") + b"\0")
    return found.hexdigest()[:32]


def _code_and_data(value: types.FunctionType | type) -> Iterator[str]:
    yield _name(value)
    if isinstance(value, type):
        yield from map(_name, value.__bases__)
        for name, member in sorted(vars(value).items()):
            if not name.startswith("__") and not isinstance(member, _DESCRIPTORS):
                yield name
                yield _of_value(member)
        return
    yield from _code(value.__code__)
    yield _of_value((value.__defaults__, value.__kwdefaults__))
    closure = inspect.getclosurevars(value)
    for name, used in sorted({**closure.globals, **closure.nonlocals}.items()):
        yield name
        yield _of_value(used)


def _code(code: types.CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code(constant)
        elif not isinstance(constant, frozenset):
            yield repr(constant)
        else:
            yield repr(sorted(map(repr, constant)))


def _of_value(value: Any) -> str:
    try:
        return str(_Values().hash(value))
    except Exception:  # what it holds travels in a way of its own: by what cloudpickle knows of it
        return type(value).__name__


class _Values(NumpyHasher):
    """joblib's digest of data; functions, classes and modules in them by their names."""

    def save_name(self, value: Any, name: str | None = None, **_: Any) -> None:
        self.save(name or _name(value))

    save_global = save_name  # of classes that have a metaclass, and of what pickles as a name
    _named = (types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type)
    dispatch = {**NumpyHasher.dispatch, frozenset: Hasher.save_set, **dict.fromkeys(_named, save_name)}


def _name(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', getattr(value, '__name__', ''))}"
