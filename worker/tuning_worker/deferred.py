"""Defers what importing Optuna and structlog would load and a worker does not need. Imported first, by `process` alone.

Where the packages redis and rich are installed, as on a laptop, each worker would spend a quarter of its start on them.
"""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any


class _Deferred(ModuleType):
    """A package that is loaded when somebody first uses it, the objective perhaps."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        package = importlib.import_module(self.__name__)
        vars(self).update(vars(package))
        return getattr(package, name)


def _defer(name: str) -> None:
    spec = importlib.util.find_spec(name) if name not in sys.modules else None
    if spec is not None:
        stand_in = _Deferred(name)
        stand_in.__spec__ = spec
        sys.modules[name] = stand_in


def _import_without(name: str, importer: str) -> None:
    """Import `importer`, which does without `name` where that is not installed. Others may import it afterwards."""
    if name not in sys.modules and importer not in sys.modules:
        sys.modules[name] = None  # type: ignore[assignment]
        importlib.import_module(importer)
        del sys.modules[name]


_defer("redis")  # Optuna's journal imports its client
_import_without("rich", "structlog")  # for tracebacks in a terminal; our log is JSON
