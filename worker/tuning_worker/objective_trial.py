"""The optuna.Trial that an objective is given: one that knows the manifest.

Made once a trial by `run_trial`. A category may be a list or an object, which Optuna's stores do not hold; and a
parameter of the manifest has the manifest's range, whatever the objective's own code says.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tuning_study.api.parameters import Parameter
from tuning_study.search.space import distribution
from tuning_study.values import plain, same_value, stored
from tuning_worker.exceptions import TrialFailed


class ObjectiveTrial(optuna.Trial):
    def __init__(self, study: optuna.Study, trial_id: int, parameters: Sequence[Parameter]) -> None:
        super().__init__(study, trial_id)
        self._of_manifest = {parameter.name: parameter for parameter in parameters}
        self._categories: dict[str, Sequence[Any]] = {}  # that are no scalars, by parameter

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        low, high, step = plain(low), plain(high), plain(step)
        self._check(name, FloatDistribution(low, high, log=log, step=step))
        return super().suggest_float(name, low, high, step=step, log=log)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        low, high, step = plain(low), plain(high), plain(step)
        self._check(name, IntDistribution(low, high, log=log, step=step))
        return super().suggest_int(name, low, high, step=step, log=log)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices, which may be lists, tuples, objects, and numbers and arrays of NumPy."""
        given = [_jsonable(choice) for choice in choices]
        held = [stored(choice) for choice in given]
        self._check(name, CategoricalDistribution(held))
        if held != given:
            self._categories[name] = given
        chosen = super().suggest_categorical(name, held)
        return next(
            choice for choice, text in zip(choices, held, strict=True) if text is chosen or same_value(text, chosen)
        )

    def set_user_attr(self, key: str, value: Any) -> None:
        super().set_user_attr(key, plain(value))

    @property
    def params(self) -> dict[str, Any]:
        return {name: self._value(name, held) for name, held in super().params.items()}

    def _value(self, name: str, held: Any) -> Any:
        if name in self._of_manifest:
            return self._of_manifest[name].value_of(held)
        values = [value for value in self._categories.get(name, ()) if isinstance(value, list | dict)]
        return next((deepcopy(value) for value in values if stored(value) == held), held)

    def _check(self, name: str, wanted: BaseDistribution) -> None:
        """Raises TrialFailed where the objective's range is not the manifest's: the sampler follows the manifest."""
        if name not in self._of_manifest:
            return
        declared = distribution(self._of_manifest[name])
        if declared != wanted:
            raise TrialFailed(
                f"the objective suggests {name} {_range(wanted)}, and the manifest has it {_range(declared)}: make "
                "them the same, or leave the parameter out of one of them"
            )


def _range(of: BaseDistribution) -> str:
    match of:
        case FloatDistribution() | IntDistribution():
            kind = "Float" if isinstance(of, FloatDistribution) else "Int"
            step = f" by {of.step}" if of.step is not None and (kind == "Float" or of.step != 1) else ""
            return f"as {kind} from {of.low} to {of.high}{step}{' on a Log scale' if of.log else ''}"
        case CategoricalDistribution():
            return f"as one of {', '.join(map(repr, of.choices))}"
        case _:
            return repr(of)


ObjectiveTrial.__name__ = optuna.Trial.__name__  # what Python's errors call it: its author knows no other


def _jsonable(value: Any) -> Any:
    value = plain(value)
    return [_jsonable(entry) for entry in value] if isinstance(value, tuple | list) else value
