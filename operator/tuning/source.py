"""A Python function as source, with all that it names: the form in which it goes to a cluster.

The worker's image may have another Python than this program, for which a pickle means nothing.
"""

import ast
import builtins
import linecache
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuning.shipping import FUNCTION, MODULE, takes_trial
from tuning_client.exceptions import WrongUse
from tuning_client.local.files import module_files

_LARGEST = 900_000  # bytes of a ConfigMap, which the API server takes up to 1 MiB of


def source_files(function: Callable[..., Any]) -> dict[str, str]:
    """Modules by file name, of which MODULE has the objective called FUNCTION."""
    argument = "trial" if takes_trial(function) else "dict(trial.params)"
    module = function.__module__
    if module != "__main__":
        text = f"from {module} import {function.__name__} as function\n"
        return {**_beside(module), f"{MODULE}.py": text + _entry("function", argument)}
    parts = _Parts()
    parts.add(function.__name__, function)
    text = parts.text()
    if function.__name__ == FUNCTION:  # the entry has its name
        text += "\n\nfunction = objective\n"
    name = "function" if function.__name__ == FUNCTION else function.__name__
    return {f"{MODULE}.py": text + _entry(name, argument)}


def _entry(function: str, argument: str) -> str:
    return f"\n\ndef {FUNCTION}(trial):\n    return {function}({argument})\n"


def _beside(module: str) -> dict[str, str]:
    """The module's file and the others of its folder that it imports; nothing for an installed one."""
    root = Path.cwd()
    files = {}
    for path in module_files(module, root):
        name = path.relative_to(root)
        if len(name.parts) > 1:
            raise WrongUse(
                f"objective: {name} is part of a package, which a ConfigMap cannot hold: build it into the worker "
                f'image, and give the objective as "{module}:NAME"'
            )
        files[str(name)] = path.read_text(encoding="utf-8")
    if sum(len(text.encode()) for text in files.values()) > _LARGEST:
        raise WrongUse("objective: its modules are too large for a ConfigMap: build them into the worker image")
    return files


@dataclass
class _Parts:
    """What a function of a notebook or of the main program needs, as one module."""

    imports: dict[str, None] = field(default_factory=dict)
    definitions: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: Any) -> None:
        if name in self.definitions:
            return
        match value:
            case types.ModuleType():
                self.imports[f"import {value.__name__}" + ("" if value.__name__ == name else f" as {name}")] = None
            case types.FunctionType() | type() if value.__module__ == "__main__":
                self._add_source(name, value)
            case _ if _importable(value):
                own = value.__name__
                self.imports[f"from {value.__module__} import {own}" + ("" if own == name else f" as {name}")] = None
            case _:
                self.definitions[name] = f"{name} = {_literal(name, value)}\n"

    def _add_source(self, name: str, value: Any) -> None:
        if value.__name__ == "<lambda>":
            raise WrongUse("objective: a lambda has no source of its own: write a function with `def`")
        source = _source(value)
        self.definitions[name] = ""  # seen, for those that name each other
        for used, found in sorted(_names_used(value)):
            self.add(used, found)
        self.definitions.pop(name)
        self.definitions[name] = source

    def text(self) -> str:
        return "\n".join([*self.imports, "", "", "\n\n".join(self.definitions.values())]).lstrip("\n")


def _source(value: Any) -> str:
    """Of a function or class of a notebook's cell or of the main program. inspect finds no class of a cell."""
    codes = [value.__code__] if isinstance(value, types.FunctionType) else [f.__code__ for f in _methods(value)]
    for file in dict.fromkeys(code.co_filename for code in codes):
        text = "".join(linecache.getlines(file))
        for node in reversed(list(ast.walk(ast.parse(text)))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == value.__name__:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                return textwrap.dedent("\n".join(text.splitlines()[first - 1 : node.end_lineno])) + "\n"
    raise WrongUse(f"objective: the source of {value.__name__} is not known: put it in a module")


def _methods(value: type) -> list[types.FunctionType]:
    return [member for member in vars(value).values() if isinstance(member, types.FunctionType)]


def _names_used(value: Any) -> Iterator[tuple[str, Any]]:
    functions = [value] if isinstance(value, types.FunctionType) else _methods(value)
    for base in getattr(value, "__bases__", ()):
        if base is not object:
            yield base.__name__, base
    for function in functions:
        if function.__code__.co_freevars:
            names = ", ".join(function.__code__.co_freevars)
            raise WrongUse(f"objective: {function.__name__} uses {names} of the function around it: pass them in")
        for name in _global_names(function.__code__):
            if name in function.__globals__ and not hasattr(builtins, name):
                yield name, function.__globals__[name]


def _global_names(code: types.CodeType) -> set[str]:
    inner = {
        name for constant in code.co_consts if isinstance(constant, types.CodeType) for name in _global_names(constant)
    }
    return set(code.co_names) | inner


def _importable(value: Any) -> bool:
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    own = getattr(value, "__name__", None)
    return (
        module is not None and module.__name__ != "__main__" and own is not None and getattr(module, own, None) is value
    )


def _literal(name: str, value: Any) -> str:
    text = repr(value)
    try:
        if len(text) < _LARGEST and ast.literal_eval(text) == value:
            return text
    except (ValueError, SyntaxError, TypeError, MemoryError):
        pass
    raise WrongUse(
        f"objective: it uses {name}, a {type(value).__name__} of this program, which a cluster does not have: "
        "make or load it inside the function"
    )
