"""Calls an ordinary Optuna objective, from the image or from files beside it."""

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import optuna

from tuning_study.api.objective import PythonObjective
from tuning_study.api.spec import TuningStudySpec
from tuning_study.production.features import Reference
from tuning_study.search.likeness import Profile
from tuning_worker.exceptions import ObjectiveRejected, TrialFailed
from tuning_worker.run import TrialRun

_FRAMES = 3  # of a traceback, the innermost
_RUN_A_STUDY = ("tuning.study", "optuna.study.study")  # modules whose functions do


class PythonFunction:
    """Given an optuna.Trial; returns a number, a tuple of the objectives in order, or a mapping of metrics."""

    preparation: Sequence[str] = ()
    profile: Profile | None = None

    def references(self, _: Sequence[str]) -> Mapping[str, Reference]:
        return {}

    def __init__(self, name: str, function: Callable[[optuna.Trial], Any], objectives: Sequence[str]) -> None:
        self._name, self._function, self._objectives = name, function, objectives

    @classmethod
    def load(cls, objective: PythonObjective, spec: TuningStudySpec, code: Path | None) -> Self:
        """Import the function; `code` is the folder of its modules, where they are not in the image.

        Raises ObjectiveRejected.
        """
        if code is not None and str(code) not in sys.path:
            sys.path.insert(0, str(code))
        module, _, name = objective.function.partition(":")
        try:
            found = getattr(importlib.import_module(module), name, None)
        except BaseException as error:  # SystemExit too: a script that was made for the command line
            raise ObjectiveRejected(_import_message(module, error)) from error
        if found is None:
            raise ObjectiveRejected(f"objective.python: the module {module} has no function {name!r}")
        if not callable(found):
            raise ObjectiveRejected(f"objective.python: {objective.function} is not a function")
        return cls(objective.function, found, [metric.name for metric in spec.objectives])

    def __call__(self, run: TrialRun) -> Mapping[str, float]:
        run.suggest()  # the manifest's parameters are in trial.params; the function may suggest more
        os.environ.update(run.environment())  # until the next trial: a worker runs one at a time
        return self._as_metrics(self._function(run.trial))

    def _as_metrics(self, result: Any) -> Mapping[str, float]:
        if isinstance(result, Mapping):
            return result
        if (problem := _no_value(result)) is not None:
            raise TrialFailed(f"the objective {problem}")
        if hasattr(result, "tolist"):  # an array, a tensor or a column of any library
            result = result.tolist()
        values = result if isinstance(result, Sequence) and not isinstance(result, str | bytes) else [result]
        if len(values) != len(self._objectives):
            raise TrialFailed(
                f"{self._name} returned {len(values)} values for {len(self._objectives)} objectives "
                f"({', '.join(self._objectives)})"
            )
        return dict(zip(self._objectives, values, strict=True))


def _no_value(result: object) -> str | None:
    """What is wrong with a function that returned no value at all, and what to write."""
    match result:
        case None:
            return "returned nothing: end it with `return` and its value, on each way through it"
        case Generator():
            return "has a `yield`, so it returns no value: write `return`; trial.report is for steps"
        case Coroutine():
            return "is an `async def`: write a `def`, with asyncio.run(…) in it"
    return None


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
    runs_itself = isinstance(error, SystemExit) or _begins_a_study(error)
    advice = '; put what runs it under `if __name__ == "__main__":`' if runs_itself else ""
    return f"objective.python: {module} does not import in the worker: {what.strip()}{advice}\n{where}".rstrip()


def _begins_a_study(error: BaseException) -> bool:
    """Whether it comes from a study that the module ran while it was imported."""
    modules = {str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)}
    return not modules.isdisjoint(_RUN_A_STUDY)
