"""The three kinds of objective. Each is imported only when a study uses it."""

from pathlib import Path

from tuning_study.round import ResolvedRound
from tuning_worker.run import Objective


def load(resolved: ResolvedRound, code: Path | None) -> Objective:
    """The round's objective, ready to run trials. `code` is the folder of a python objective's own modules.

    Raises ObjectiveRejected when no trial could ever run, whatever its parameters.
    """
    spec = resolved.spec
    if spec.objective.sklearn is not None:
        from tuning_worker.objectives.sklearn import SklearnModel

        return SklearnModel.load(spec.objective.sklearn, spec, resolved.seed)
    if spec.objective.python is not None:
        from tuning_worker.objectives.python import PythonFunction

        return PythonFunction.load(spec.objective.python, spec, code)
    from tuning_worker.objectives.command import Command

    assert spec.objective.command is not None  # a rule of Objective
    return Command.load(spec.objective.command, spec)
