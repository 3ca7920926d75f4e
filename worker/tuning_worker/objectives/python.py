"""Calls an ordinary Optuna objective, from the image or from files beside it."""

import importlib
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna

from tuning_study.spec import PythonObjective, TuningStudySpec
from tuning_worker.exceptions import ObjectiveRejected, TrialFailed
from tuning_worker.run import TrialRun

_FRAMES = 3  # of a traceback, the innermost


class PythonFunction:
    """Given an optuna.Trial; returns a number, a tuple of the objectives in order, or a mapping of metrics."""

    def __init__(self, objective: PythonObjective, spec: TuningStudySpec, code: Path | None) -> None:
        self._name = objective.function
        self._objectives = [metric.name for metric in spec.objectives]
        self._code = code
        self._function: Callable[[optuna.Trial], Any]

    def check(self) -> None:
        if self._code is not None and str(self._code) not in sys.path:
            sys.path.insert(0, str(self._code))
        module, _, name = self._name.partition(":")
        try:
            found = getattr(importlib.import_module(module), name, None)
        except BaseException as error:  # SystemExit too: a script that was made for the command line
            raise ObjectiveRejected(_import_message(module, error)) from error
        if found is None:
            raise ObjectiveRejected(f"objective.python: the module {module} has no function {name!r}")
        if not callable(found):
            raise ObjectiveRejected(f"objective.python: {self._name} is not a function")
        self._function = found

    def __call__(self, run: TrialRun) -> Mapping[str, float]:
        _ = run.parameters  # those of the manifest are in trial.params; the function may suggest more
        return self._as_metrics(self._function(run.trial))

    def _as_metrics(self, result: Any) -> Mapping[str, float]:
        if isinstance(result, Mapping):
            return result
        values = result if isinstance(result, Sequence) and not isinstance(result, str) else [result]
        if len(values) != len(self._objectives):
            raise TrialFailed(
                f"{self._name} returned {len(values)} values for {len(self._objectives)} objectives "
                f"({', '.join(self._objectives)})"
            )
        return dict(zip(self._objectives, values, strict=True))


def _import_message(module: str, error: BaseException) -> str:
    """Why the module does not import, with the frames of its own code."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen") and frame.filename not in (__file__, importlib.__file__)
    ]
    where = "".join(traceback.format_list(frames[-_FRAMES:])).rstrip()
    *source, what = traceback.format_exception_only(error)  # of a SyntaxError also where it is
    where = "".join([where, "\n", *source]).strip("\n")
    advice = '; put what runs it under `if __name__ == "__main__":`' if isinstance(error, SystemExit) else ""
    return f"objective.python: {module} does not import in the worker: {what.strip()}{advice}\n{where}".rstrip()
