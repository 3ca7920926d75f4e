"""The options of samplers and pruners: which each of them knows, of what type and in what range.

They are Optuna's arguments in camelCase. What only Python objects can stand for, or what is ours to give (seeds), is
no option.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic.alias_generators import to_camel

from tuning_study.api.rules import Model, Rule

_MOST = 1_000_000  # of trials, steps and resources, as of a budget's trials
Count = Annotated[int, Field(ge=0, le=_MOST)]
Positive = Annotated[int, Field(ge=1, le=_MOST)]
Population = Annotated[int, Field(ge=2, le=10_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Spread = Annotated[float, Field(ge=0, le=1000)]
Report = Annotated[float, Field(allow_inf_nan=False)]


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


def _known_numbers(kind: str, known: Sequence[str], others: Sequence[str]) -> Rule:
    given = " || ".join(f"has(self.{to_camel(name)})" for name in others)
    return Rule(
        f"self.type != '{kind}' || !({given})",
        f"{kind} knows {' and '.join(map(to_camel, known)) or 'no numbers'}: leave out the others",
        lambda part: part.type != kind or not _given(part, others),
        lambda part: ", ".join(map(to_camel, _given(part, others))),
    )


CROSSOVERS: Mapping[str, Sequence[str]] = {
    "Uniform": (),
    "BLXAlpha": ("alpha",),
    "SPX": ("epsilon",),
    "SBX": ("eta", "uniform_crossover_prob", "use_child_gene_prob"),
    "VSBX": ("eta", "uniform_crossover_prob", "use_child_gene_prob"),
    "UNDX": ("sigma_xi", "sigma_eta"),
}


class Crossover(Model):
    """How numbers of two or three trials are combined."""

    type: Literal["Uniform", "BLXAlpha", "SPX", "SBX", "VSBX", "UNDX"] = Field(
        description="The method. Uniform takes each parameter from one of two trials, BLXAlpha, SBX and VSBX draw near "
        "them, SPX and UNDX near three. Example: SBX."
    )
    alpha: Spread | None = Field(
        None, description="BLXAlpha: how far beyond the two, as a share of their distance. Default: 0.5."
    )
    epsilon: Spread | None = Field(
        None,
        description="SPX: how far the triangle of the three is spread. If left out, it grows with the number of "
        "parameters.",
    )
    eta: Spread | None = Field(
        None,
        description="SBX, VSBX: the larger, the nearer to the two. If left out, it is 2 with one objective and 20 with "
        "several.",
    )
    uniform_crossover_prob: Share | None = Field(
        None, description="SBX, VSBX: probability that the two drawn points swap a parameter. Default: 0.5."
    )
    use_child_gene_prob: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="SBX, VSBX: probability that a parameter is the drawn one. Default: 0.5."
    )
    sigma_xi: Spread | None = Field(None, description="UNDX: spread along the line of two of them. Default: 0.5.")
    sigma_eta: Spread | None = Field(
        None, description="UNDX: spread across that line. If left out, it falls with the number of parameters."
    )

    rules = tuple(
        _known_numbers(kind, known, sorted({name for all in CROSSOVERS.values() for name in all} - set(known)))
        for kind, known in CROSSOVERS.items()
    )


class Mutation(Model):
    """How a number is changed."""

    type: Literal["Polynomial"] = Field(description="The method: Polynomial draws near the old value.")
    eta: Spread | None = Field(None, description="The larger, the nearer to the old value. Default: 20.")


class SamplerOptions(Options):
    """Every option of any sampler; SAMPLERS says whose each is."""

    n_startup_trials: Count | None = Field(
        None,
        description="TPE, GP, CmaEs: number of trials before the sampler learns from them. Of GP, if left out, it is "
        "what the space needs, at most 8. Default: 10, of CmaEs 1.",
    )
    n_ei_candidates: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None, description="TPE: number of candidates for each trial, of which the most promising is tried. Default: 24."
    )
    multivariate: bool | None = Field(
        None, description="TPE: whether to draw parameters together, to learn how they interact. Default: true."
    )
    group: bool | None = Field(
        None,
        description="TPE: whether to draw those parameters together that only some trials have. Default: true.",
    )
    constant_liar: bool | None = Field(
        None, description="TPE: whether to treat running trials as bad ones, so that workers spread out. Default: true."
    )
    sigma0: Annotated[float, Field(gt=0, le=10)] | None = Field(
        None, description="CmaEs: initial step size, as a fraction of each parameter's range. Default: 1/6."
    )
    popsize: Annotated[int, Field(ge=4, le=10_000)] | None = Field(  # of fewer there is no half to learn from
        None,
        description="CmaEs: number of trials in a generation. If left out, it grows with the logarithm of the number "
        "of parameters.",
    )
    consider_pruned_trials: bool | None = Field(
        None, description="CmaEs: whether to learn from pruned trials too, by their last report. Default: false."
    )
    use_separable_cma: bool | None = Field(
        None,
        description="CmaEs: whether to learn each parameter by itself, which is faster if they do not interact. "
        "Default: false.",
    )
    with_margin: bool | None = Field(
        None,
        description="CmaEs: whether to keep parameters with steps from settling on one value too early. Default: "
        "false.",
    )
    lr_adapt: bool | None = Field(
        None,
        description="CmaEs: whether to adapt the learning rate, for objectives with noise or many local optima. "
        "Default: false.",
    )
    restarts: Literal["None", "IPOP", "BIPOP"] | None = Field(
        None,
        description="CmaEs: whether it starts again elsewhere once it has converged, for objectives with many local "
        "optima and thousands of trials: IPOP with a larger generation each time, BIPOP with large and small ones in "
        "turn. Default: None.",
    )
    inc_popsize: Annotated[int, Field(ge=2, le=10)] | None = Field(
        None, description="CmaEs: how many times as large a generation is after each restart. Default: 2."
    )
    qmc_type: Literal["sobol", "halton"] | None = Field(
        None, description="QMC: the sequence to take points from. Default: sobol."
    )
    scramble: bool | None = Field(
        None, description="QMC: whether to randomise the sequence, which stays evenly spread. Default: true."
    )
    population_size: Population | None = Field(
        None, description="NSGAII, NSGAIII: number of trials in a generation. Default: 50."
    )
    mutation_prob: Share | None = Field(
        None,
        description="NSGAII, NSGAIII: probability that a parameter is drawn anew. If left out, it is 1 divided by the "
        "number of parameters.",
    )
    crossover_prob: Share | None = Field(
        None, description="NSGAII, NSGAIII: probability that a trial combines two earlier ones. Default: 0.9."
    )
    swapping_prob: Share | None = Field(
        None,
        description="NSGAII, NSGAIII: probability that a parameter comes from the second of the two: of numbers with "
        "crossover Uniform, of categories with any. Default: 0.5.",
    )
    crossover: Crossover | None = Field(
        None,
        description="NSGAII, NSGAIII: how numbers of two or three trials are combined. If left out, each comes from "
        "one of two. Example: {type: SBX, eta: 20}.",
    )
    mutation: Mutation | None = Field(
        None,
        description="NSGAII, NSGAIII: how a number is changed. If left out, it is drawn anew from its whole range. "
        "Example: {type: Polynomial}.",
    )
    dividing_parameter: Annotated[int, Field(ge=1, le=50)] | None = Field(
        None,
        description="NSGAIII: number of divisions of each objective's axis. More divisions keep more kinds of "
        "compromise. Default: 3.",
    )

    rules = (
        Rule(
            "[has(self.useSeparableCma) && self.useSeparableCma, has(self.withMargin) && self.withMargin,"
            " has(self.lrAdapt) && self.lrAdapt].filter(wanted, wanted).size() <= 1",
            "only one of useSeparableCma, withMargin and lrAdapt can be true",
            lambda o: [o.use_separable_cma, o.with_margin, o.lr_adapt].count(True) <= 1,
        ),
        Rule(
            "!has(self.incPopsize) || (has(self.restarts) && self.restarts != 'None')",
            "incPopsize is of restarts: write `restarts: IPOP` or `restarts: BIPOP` too",
            lambda o: o.inc_popsize is None or o.restarts not in (None, "None"),
        ),
        Rule(
            "!has(self.crossover) || !(self.crossover.type in ['SPX', 'UNDX'])"
            " || !has(self.populationSize) || self.populationSize > 2",
            "SPX and UNDX combine three trials: write a populationSize of 3 or more",
            lambda o: (
                o.crossover is None
                or o.crossover.type not in ("SPX", "UNDX")
                or o.population_size is None
                or o.population_size > 2
            ),
        ),
    )


class PrunerOptions(Options):
    """Every option of any pruner; PRUNERS says whose each is."""

    percentile: Annotated[float, Field(ge=0, le=100)] | None = Field(
        None, description="Percentile: percentage of trials that may continue at each step, the best ones. Default: 25."
    )
    n_startup_trials: Count | None = Field(
        None, description="Median, Percentile: number of trials that must finish before any is pruned. Default: 5."
    )
    n_warmup_steps: Count | None = Field(
        None, description="Median, Percentile, Threshold: the first step at which a trial may be pruned. Default: 0."
    )
    interval_steps: Positive | None = Field(
        None, description="Median, Percentile, Threshold: number of steps between two checks of a trial. Default: 1."
    )
    n_min_trials: Positive | None = Field(
        None,
        description="Median, Percentile: number of trials that must have reported a step before it is judged. "
        "Default: 1.",
    )
    min_resource: Resource | None = Field(
        None,
        description="SuccessiveHalving, Hyperband: number of steps before a trial is first judged; auto derives it "
        "from the first complete trial. Default: auto, of Hyperband 1.",
    )
    max_resource: Resource | None = Field(
        None,
        description="Hyperband: number of steps in a whole trial; auto derives it from the first complete trial. "
        "Default: auto.",
    )
    reduction_factor: Annotated[int, Field(ge=2, le=1000)] | None = Field(
        None,
        description="SuccessiveHalving, Hyperband: one in this many trials continues from each rung. Default: 4, of "
        "Hyperband 3.",
    )
    min_early_stopping_rate: Annotated[int, Field(ge=0, le=100)] | None = Field(
        None,
        description="SuccessiveHalving: moves the first rung to minResource times reductionFactor to this power. "
        "Default: 0.",
    )
    bootstrap_count: Count | None = Field(
        None,
        description="SuccessiveHalving, Hyperband: number of trials that must reach a rung before any continues. "
        "Default: 0.",
    )
    patience: Count | None = Field(
        None,
        description="Patient: number of reports in a row without an improvement that a trial may have. If left out, "
        "the manifest is refused. Example: 3.",
    )
    min_delta: Annotated[Report, Field(ge=0)] | None = Field(
        None,
        description="Patient: how much worse than the best report before them these reports must all be. Default: 0.",
    )
    lower: Report | None = Field(
        None,
        description="Threshold: a trial that reports less is pruned. If left out, no report is too small. "
        "Example: 0.5.",
    )
    upper: Report | None = Field(
        None,
        description="Threshold: a trial that reports more is pruned. If left out, no report is too large. Example: 10.",
    )
    p_threshold: Share | None = Field(
        None,
        description="Wilcoxon: a trial is pruned when the p-value of its being worse than the best one is below this: "
        "by folds with sklearn, else by reports whose step is the number of an instance. 0.1 takes 4 of them or more. "
        "Default: 0.1.",
    )
    n_startup_steps: Count | None = Field(
        None,
        description="Wilcoxon: number of folds or instances that a trial must have reported before it is judged, at "
        "least 2. Default: 2.",
    )

    rules = (
        Rule(
            "!has(self.lower) || !has(self.upper) || self.lower <= self.upper",
            "lower must not be larger than upper: swap them",
            lambda o: o.lower is None or o.upper is None or o.lower <= o.upper,
        ),
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


_GENETIC = ("population_size", "mutation_prob", "crossover_prob", "swapping_prob", "crossover", "mutation")
SAMPLERS: Mapping[str, Sequence[str]] = {
    "Auto": (),
    "Random": (),
    "Grid": (),
    "QMC": ("qmc_type", "scramble"),
    "TPE": ("n_startup_trials", "n_ei_candidates", "multivariate", "group", "constant_liar"),
    "CmaEs": (
        *("n_startup_trials", "sigma0", "popsize", "consider_pruned_trials"),
        *("use_separable_cma", "with_margin", "lr_adapt", "restarts", "inc_popsize"),
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
    "Patient": ("patience", "min_delta"),
    "Threshold": ("lower", "upper", "n_warmup_steps", "interval_steps"),
    "Wilcoxon": ("p_threshold", "n_startup_steps"),
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
        lambda part: part.type != kind or not _given(part.options, others),
        lambda part: ", ".join(map(to_camel, _given(part.options, others))),
    )


def _given(options: Model, names: Sequence[str]) -> list[str]:
    return [name for name in names if name in options.model_fields_set]


def arguments(kind: str, options: Model, table: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The options that were given, as Optuna's arguments."""
    return {name: value for name in table[kind] if (value := getattr(options, name)) is not None}
