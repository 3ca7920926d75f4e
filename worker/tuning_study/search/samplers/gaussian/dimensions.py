"""Which dimensions a study's space has: from its manifest, or from the trials of an objective that suggests its own."""

from collections.abc import Sequence

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial

from tuning_study.api.parameters import Parameter
from tuning_study.search.samplers.gaussian.space import Condition, Dimension
from tuning_study.search.space import distribution, in_order
from tuning_study.values import stored

_NONE = object()  # for the value that a trial does not have: None is one


def of_manifest(parameters: Sequence[Parameter]) -> list[Dimension]:
    return [
        Dimension(
            parameter.name,
            distribution(parameter),
            Condition(parameter.when.parameter, tuple(map(stored, parameter.when.values))) if parameter.when else None,
        )
        for parameter in in_order(parameters)
    ]


def of_trials(trials: Sequence[FrozenTrial]) -> list[Dimension]:
    """Every parameter that leaves a choice, as first seen, in the order in which objectives ask for them. A parameter
    that only some trials have gets the condition that explains it, if one category does."""
    found: dict[str, BaseDistribution] = {}
    for trial in trials:
        for name, kind in trial.distributions.items():
            if not kind.single():
                found.setdefault(name, kind)
    dimensions: list[Dimension] = []
    for name, kind in found.items():
        dimensions.append(Dimension(name, kind, _condition(name, dimensions, trials)))
    return dimensions


def _condition(name: str, before: Sequence[Dimension], trials: Sequence[FrozenTrial]) -> Condition | None:
    if all(name in trial.params for trial in trials):
        return None
    for other in before:
        if not isinstance(other.distribution, CategoricalDistribution):
            continue
        with_it = {trial.params.get(other.name, _NONE) for trial in trials if name in trial.params}
        without = {trial.params.get(other.name, _NONE) for trial in trials if name not in trial.params}
        if _NONE not in with_it and not with_it & without:
            return Condition(other.name, tuple(with_it))
    return None
