"""The options of samplers and pruners: which each of them knows, of what type and in what range.

They are Optuna's arguments in camelCase. What only Python objects can stand for, or what is ours to give (seeds), is
no option.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic.alias_generators import to_camel

from tuning_study.rules import Model, Rule

_MOST = 1_000_000  # of trials, steps and resources, as of a budget's trials
Count = Annotated[int, Field(ge=0, le=_MOST)]
Positive = Annotated[int, Field(ge=1, le=_MOST)]
Population = Annotated[int, Field(ge=2, le=10_000)]
Share = Annotated[float, Field(ge=0, le=1)]


def _resource(given: object) -> int | str:
    if given == "auto" or (isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= _MOST):
        return given
    raise ValueError(f"write a whole number from 1 to {_MOST}, or auto")


Resource = Annotated[
    int | str,
    PlainValidator(_resource),
    WithJsonSchema(
        {"x-kubernetes-int-or-string": True, "minimum": 1, "maximum": _MOST, "pattern": "^auto$", "maxLength": 4}
    ),
]


class Options(Model):
    """The API server checks those it knows; of one that is none the operator says which there are."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})


class SamplerOptions(Options):
    """Every option of any sampler; SAMPLERS says whose each is."""

    n_startup_trials: Count | None = None
    n_ei_candidates: Annotated[int, Field(ge=1, le=10_000)] | None = None
    multivariate: bool | None = None
    group: bool | None = None
    constant_liar: bool | None = None
    sigma0: Annotated[float, Field(gt=0, le=10)] | None = None
    popsize: Annotated[int, Field(ge=4, le=10_000)] | None = None  # of fewer there is no half to learn from
    consider_pruned_trials: bool | None = None
    use_separable_cma: bool | None = None
    with_margin: bool | None = None
    lr_adapt: bool | None = None
    qmc_type: Literal["sobol", "halton"] | None = None
    scramble: bool | None = None
    population_size: Population | None = None
    mutation_prob: Share | None = None
    crossover_prob: Share | None = None
    swapping_prob: Share | None = None
    dividing_parameter: Annotated[int, Field(ge=1, le=50)] | None = None

    rules = (
        Rule(
            "[has(self.useSeparableCma) && self.useSeparableCma, has(self.withMargin) && self.withMargin,"
            " has(self.lrAdapt) && self.lrAdapt].filter(wanted, wanted).size() <= 1",
            "only one of useSeparableCma, withMargin and lrAdapt can be true",
            lambda o: [o.use_separable_cma, o.with_margin, o.lr_adapt].count(True) <= 1,
        ),
    )


class PrunerOptions(Options):
    """Every option of any pruner; PRUNERS says whose each is."""

    percentile: Annotated[float, Field(ge=0, le=100)] | None = None
    n_startup_trials: Count | None = None
    n_warmup_steps: Count | None = None
    interval_steps: Positive | None = None
    n_min_trials: Positive | None = None
    min_resource: Resource | None = None
    max_resource: Resource | None = None
    reduction_factor: Annotated[int, Field(ge=2, le=1000)] | None = None
    min_early_stopping_rate: Annotated[int, Field(ge=0, le=100)] | None = None
    bootstrap_count: Count | None = None

    rules = (
        Rule(
            "!has(self.minResource) || !has(self.maxResource)"
            " || type(self.minResource) != int || type(self.maxResource) != int"
            " || int(self.minResource) <= int(self.maxResource)",
            "minResource must not be larger than maxResource: swap them",
            lambda o: (
                not (isinstance(o.min_resource, int) and isinstance(o.max_resource, int))
                or o.min_resource <= o.max_resource
            ),
        ),
    )


_GENETIC = ("population_size", "mutation_prob", "crossover_prob", "swapping_prob")
SAMPLERS: Mapping[str, Sequence[str]] = {
    "Random": (),
    "Grid": (),
    "QMC": ("qmc_type", "scramble"),
    "TPE": ("n_startup_trials", "n_ei_candidates", "multivariate", "group", "constant_liar"),
    "CmaEs": (
        *("n_startup_trials", "sigma0", "popsize", "consider_pruned_trials"),
        *("use_separable_cma", "with_margin", "lr_adapt"),
    ),
    "GP": ("n_startup_trials",),
    "NSGAII": _GENETIC,
    "NSGAIII": (*_GENETIC, "dividing_parameter"),
}
_MEDIAN = ("n_startup_trials", "n_warmup_steps", "interval_steps", "n_min_trials")
PRUNERS: Mapping[str, Sequence[str]] = {
    "None": (),
    "Median": _MEDIAN,
    "Percentile": ("percentile", *_MEDIAN),
    "SuccessiveHalving": ("min_resource", "reduction_factor", "min_early_stopping_rate", "bootstrap_count"),
    "Hyperband": ("min_resource", "max_resource", "reduction_factor", "bootstrap_count"),
}


def known_options(options: type[Options], table: Mapping[str, Sequence[str]]) -> tuple[Rule, ...]:
    """A rule for each type in `table`: of all `options` it has its own and no other."""
    return tuple(_only(kind, known, sorted(set(options.model_fields) - set(known))) for kind, known in table.items())


def _only(kind: str, known: Sequence[str], others: Sequence[str]) -> Rule:
    given = " || ".join(f"has(self.options.{to_camel(name)})" for name in others)
    message = f"of the options {kind} knows {', '.join(map(to_camel, known))} only: leave out the others"
    return Rule(
        f"self.type != '{kind}' || !has(self.options) || !({given})",
        message if known else f"{kind} has no options: leave them out",
        lambda part: part.type != kind or not set(others) & part.options.model_fields_set,
    )


def arguments(kind: str, options: Options, table: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The options that were given, as Optuna's arguments."""
    return {name: value for name in table[kind] if (value := getattr(options, name)) is not None}
