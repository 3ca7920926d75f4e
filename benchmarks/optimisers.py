"""What `make bench-auto` compares, each behind `ask` and `tell`: Optuna's samplers, ours, and peers."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import optuna
from optuna.samplers import BaseSampler
from tasks.task import Point

from tuning_study.api.parameters import Parameter
from tuning_study.api.spec import TuningStudySpec
from tuning_study.search.phases import phase_at
from tuning_study.search.space import applies, in_order, suggest
from tuning_study.search.strategy import Samplers
from tuning_study.seeds import trial_seed


class Optimiser(Protocol):
    def ask(self) -> tuple[Point, Any]:
        """A point, and what `tell` wants to know it by."""

    def tell(self, asked: Any, value: float) -> None: ...


def quiet() -> None:
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)


class OptunaStudy:
    def __init__(self, sampler: BaseSampler | None, parameters: Sequence[Parameter], objectives: int = 1) -> None:
        quiet()
        self.study = optuna.create_study(sampler=sampler, directions=["minimize"] * objectives)
        self._parameters = parameters

    def ask(self) -> tuple[Point, Any]:
        trial = self.study.ask()
        return suggest(trial, self._parameters), trial

    def tell(self, asked: Any, value: float) -> None:
        self.study.tell(asked, value)


class Ours(OptunaStudy):
    """A sampler of the manifest, or phases of several, called for each trial as a worker does."""

    def __init__(
        self, kind: str | Sequence[Mapping[str, Any]], parameters: Sequence[Parameter], seed: int, objectives: int = 1
    ) -> None:
        super().__init__(None, parameters, objectives)
        manifest = {
            "metrics": [{"name": f"loss{index}", "direction": "Minimize"} for index in range(objectives)],
            "parameters": [parameter.manifest() for parameter in parameters],
            "objective": {"python": {"function": "benchmarks:none"}},
            "strategy": {"sampler": {"type": kind}} if isinstance(kind, str) else {"phases": list(kind)},
            "budget": {"trials": 1_000_000},
        }
        spec = TuningStudySpec.model_validate(manifest)
        self._seed, self._taken, self._phases = seed, 0, spec.phases
        self._samplers = Samplers(spec, seed)

    def ask(self) -> tuple[Point, Any]:
        self.next_sampler()
        return super().ask()

    def next_sampler(self) -> None:
        """Of the trial that begins now."""
        seed = trial_seed(self._seed, self._taken, "sampler")
        self.study.sampler = self._samplers.for_trial(phase_at(self._phases, self._taken), self._taken, seed)
        self._taken += 1


class Nevergrad:
    """NGOpt, told the budget, as its authors advise. It knows no conditions: what does not apply is ignored."""

    def __init__(self, parameters: Sequence[Parameter], seed: int, trials: int) -> None:
        import nevergrad

        space = nevergrad.p.Dict(**{p.name: self._variable(nevergrad.p, p) for p in parameters})
        space.random_state.seed(seed)
        self._parameters = parameters
        self._optimiser = nevergrad.optimizers.NGOpt(space, budget=trials)

    @staticmethod
    def _variable(kinds: Any, parameter: Parameter) -> Any:
        if parameter.type == "Categorical":
            return kinds.Choice(list(parameter.choices))
        kind = kinds.Log if parameter.scale == "Log" else kinds.Scalar
        variable = kind(lower=parameter.min, upper=parameter.max)
        return variable.set_integer_casting() if parameter.type == "Int" else variable

    def ask(self) -> tuple[Point, Any]:
        asked = self._optimiser.ask()
        return _applying(self._parameters, asked.value), asked

    def tell(self, asked: Any, value: float) -> None:
        self._optimiser.tell(asked, value)


class Smac:
    """SMAC3's facade for hyperparameters, with conditions."""

    def __init__(self, parameters: Sequence[Parameter], seed: int, trials: int) -> None:
        import logging

        from smac import HyperparameterOptimizationFacade, Scenario

        logging.disable(logging.CRITICAL)
        scenario = Scenario(_config_space(parameters, seed), n_trials=trials, seed=seed, deterministic=True)
        self._parameters = parameters
        self._facade = HyperparameterOptimizationFacade(
            scenario, lambda config, seed=0: 0.0, overwrite=True, logging_level=False
        )

    def ask(self) -> tuple[Point, Any]:
        asked = self._facade.ask()
        return _applying(self._parameters, {name: _plain(v) for name, v in dict(asked.config).items()}), asked

    def tell(self, asked: Any, value: float) -> None:
        from smac.runhistory.dataclasses import TrialValue

        self._facade.tell(asked, TrialValue(value))


def _config_space(parameters: Sequence[Parameter], seed: int) -> Any:
    from ConfigSpace import (
        CategoricalHyperparameter,
        ConfigurationSpace,
        InCondition,
        UniformFloatHyperparameter,
        UniformIntegerHyperparameter,
    )

    space = ConfigurationSpace(seed=seed)
    made: dict[str, Any] = {}
    for p in in_order(parameters):
        if p.type == "Categorical":
            made[p.name] = CategoricalHyperparameter(p.name, list(p.choices))
        else:
            kind = UniformIntegerHyperparameter if p.type == "Int" else UniformFloatHyperparameter
            made[p.name] = kind(p.name, p.min, p.max, log=p.scale == "Log")
    space.add(list(made.values()))
    space.add([InCondition(made[p.name], made[p.when.parameter], list(p.when.values)) for p in parameters if p.when])
    return space


class Hebo:
    """HEBO (Cowen-Rivers et al. 2022). It knows no conditions: what does not apply is ignored.

    Its pins (pymoo 0.6.0, numpy below 1.25) cannot be met beside ours. An environment of its own has it without its
    dependencies, and torch, gpytorch, pymoo 0.6.1, GPy, catboost, disjoint-set and pandas 2 beside those of the worker.
    """

    def __init__(self, parameters: Sequence[Parameter], seed: int, trials: int) -> None:
        import numpy as np
        import torch
        from hebo.design_space.design_space import DesignSpace
        from hebo.optimizers.hebo import HEBO

        np.random.seed(seed)  # it draws from the global generators
        torch.manual_seed(seed)
        self._parameters = parameters
        self._optimiser = HEBO(DesignSpace().parse([self._variable(p) for p in parameters]), scramble_seed=seed)

    @staticmethod
    def _variable(parameter: Parameter) -> dict[str, Any]:
        """Choices by their place: it takes no values of mixed types."""
        if parameter.type == "Categorical":
            return {"name": parameter.name, "type": "cat", "categories": list(range(len(parameter.choices)))}
        kinds = {
            ("Int", "Linear"): "int",
            ("Int", "Log"): "pow_int",
            ("Float", "Linear"): "num",
            ("Float", "Log"): "pow",
        }
        kind = kinds[parameter.type, parameter.scale]
        base = {"base": 10} if parameter.scale == "Log" else {}
        return {"name": parameter.name, "type": kind, "lb": parameter.min, "ub": parameter.max} | base

    def ask(self) -> tuple[Point, Any]:
        asked = self._optimiser.suggest()
        given = {p.name: self._value(p, asked[p.name].iloc[0]) for p in self._parameters}
        return _applying(self._parameters, given), asked

    @staticmethod
    def _value(parameter: Parameter, drawn: Any) -> Any:
        return parameter.choices[int(drawn)] if parameter.type == "Categorical" else _plain(drawn)

    def tell(self, asked: Any, value: float) -> None:
        import numpy as np

        self._optimiser.observe(asked, np.array([[value]]))


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _applying(parameters: Sequence[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    point: dict[str, Any] = {}
    for parameter in in_order(parameters):
        if applies(parameter, point):
            point[parameter.name] = given[parameter.name]
    return point


Build = Callable[[Sequence[Parameter], int, int], Optimiser]
OPTIMISERS: Mapping[str, Build] = {
    "Auto": lambda parameters, seed, _: Ours("Auto", parameters, seed),
    "TPE": lambda parameters, seed, _: Ours("TPE", parameters, seed),
    "CmaEs": lambda parameters, seed, _: Ours("CmaEs", parameters, seed),
    "Optuna's TPE": lambda parameters, seed, _: OptunaStudy(
        optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed), parameters
    ),
    "Optuna's GP": lambda parameters, seed, _: OptunaStudy(optuna.samplers.GPSampler(seed=seed), parameters),
    "Random": lambda parameters, seed, _: OptunaStudy(optuna.samplers.RandomSampler(seed=seed), parameters),
    "NGOpt": Nevergrad,
    "SMAC3": Smac,
    "HEBO": Hebo,
}
