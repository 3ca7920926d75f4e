"""`spec.strategy`: the sampler and the pruner, or phases of them. Their options are in options.py."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from tuning_study.api.field_types import ParameterName, keyed
from tuning_study.api.options import PRUNERS, SAMPLERS, PrunerOptions, SamplerOptions, known_options
from tuning_study.api.rules import Model, Rule

SamplerType = Literal["Auto", "Random", "Grid", "QMC", "TPE", "CmaEs", "GP", "NSGAII", "NSGAIII"]
WrappedPrunerType = Literal["Median", "Percentile", "SuccessiveHalving", "Hyperband", "Threshold", "Wilcoxon"]
PrunerType = Literal["None", WrappedPrunerType, "Patient"]


class Sampler(Model):
    """Chooses the parameters of each trial. If left out, it is Auto."""

    type: SamplerType = Field(
        "Auto",
        description="The method. Auto takes what suits the study, and says in the status what it took and why: GP for "
        "the first 200 trials, then TPE. CmaEs is for hundreds of trials with numeric parameters, NSGAII and NSGAIII "
        "for thousands of trials with several objectives, Random and QMC for a first look. Grid tries every point. "
        "Default: Auto.",
    )
    options: SamplerOptions = Field(
        SamplerOptions(),
        description="Optuna's arguments of the sampler, in camelCase. Each type has its own. If left out, each option "
        "has its default. Example: {nStartupTrials: 20}.",
    )

    rules = known_options(SamplerOptions, SAMPLERS)


_NO_BOOTSTRAP = "!has(self.options) || !has(self.options.bootstrapCount) || self.options.bootstrapCount == 0"


def _pruner_rules(kinds: tuple[str, ...]) -> tuple[Rule, ...]:
    """What holds for a pruner of one of these types, whether it stands by itself or is wrapped."""
    return (
        *known_options(PrunerOptions, {kind: PRUNERS[kind] for kind in kinds}),
        Rule(
            "self.type != 'Hyperband' || !has(self.options) || !has(self.options.minResource)"
            " || type(self.options.minResource) == int",
            "Hyperband's minResource is a whole number: write one, or leave it out",
            lambda p: p.type != "Hyperband" or p.options.min_resource != "auto",
        ),
        Rule(
            f"{_NO_BOOTSTRAP} || self.type == 'Hyperband'"
            " || (has(self.options.minResource) && type(self.options.minResource) == int)",
            "SuccessiveHalving with a bootstrapCount needs a number for minResource: write one",
            lambda p: (
                not p.options.bootstrap_count or p.type == "Hyperband" or p.options.min_resource not in (None, "auto")
            ),
        ),
        Rule(
            f"{_NO_BOOTSTRAP} || self.type != 'Hyperband'"
            " || (has(self.options.maxResource) && type(self.options.maxResource) == int)",
            "Hyperband with a bootstrapCount needs a number for maxResource: write one",
            lambda p: (
                not p.options.bootstrap_count or p.type != "Hyperband" or p.options.max_resource not in (None, "auto")
            ),
        ),
        Rule(
            "self.type != 'Threshold' || (has(self.options) && (has(self.options.lower) || has(self.options.upper)))",
            "Threshold needs a bound: write `options: {lower: …}`, `upper`, or both",
            lambda p: p.type != "Threshold" or p.options.lower is not None or p.options.upper is not None,
        ),
    )


class WrappedPruner(Model):
    """With Patient: the pruner that decides once a trial no longer improves. If left out, every such trial is
    pruned."""

    type: WrappedPrunerType = Field(
        description="The method, as of a pruner that stands by itself. Example: Median.",
    )
    options: PrunerOptions = Field(
        PrunerOptions(),
        description="The options of this type. If left out, each option has its default. Example: {nWarmupSteps: 2}.",
    )

    rules = _pruner_rules(get_args(WrappedPrunerType))


class Pruner(Model):
    """Stops trials early whose intermediate reports are worse than those of other trials. It needs a single
    objective. If left out, no trial is pruned."""

    type: PrunerType = Field(
        "None",
        description="The method. Median stops a trial that is worse than the median of earlier ones at the same step, "
        "Percentile than a percentage of them. SuccessiveHalving and Hyperband let the best fraction continue from "
        "rung to rung. Threshold stops what is out of bounds, Wilcoxon what is worse than the best trial fold by fold, "
        "Patient only what no longer improves. None stops no trial. Default: None.",
    )
    options: PrunerOptions = Field(
        PrunerOptions(),
        description="Optuna's arguments of the pruner, in camelCase. Each type has its own. If left out, each option "
        "has its default. Example: {nWarmupSteps: 2}.",
    )
    wrapped: WrappedPruner | None = None

    rules = (
        *_pruner_rules(get_args(PrunerType)),
        Rule(
            "self.type != 'Patient' || (has(self.options) && has(self.options.patience))",
            "Patient needs a number of reports to wait for: write `options: {patience: 3}`",
            lambda p: p.type != "Patient" or p.options.patience is not None,
        ),
        Rule(
            "self.type == 'Patient' || !has(self.wrapped)",
            "only Patient wraps another pruner: write `type: Patient`, or leave out `wrapped`",
            lambda p: p.type == "Patient" or p.wrapped is None,
        ),
    )


class Phase(Model):
    """A part of the search with its own sampler and pruner."""

    name: ParameterName = Field(
        description="The name that `status.phase` shows while the phase lasts. Example: explore."
    )
    trials: int = Field(
        ge=1,
        le=1_000_000,
        description="Number of trials in the phase. The last phase lasts until the budget is used, whatever its "
        "number. Example: 30.",
    )
    sampler: Sampler = Field(default_factory=Sampler)
    pruner: Pruner = Field(default_factory=Pruner)


class Strategy(Model):
    """How the space is searched: with one sampler and pruner, or in phases. If left out, with Auto and no pruner."""

    sampler: Sampler | None = None
    pruner: Pruner | None = None
    phases: Annotated[list[Phase], keyed(16, least=1)] | None = Field(
        None,
        description="Several samplers and pruners, used one after another, instead of a single `sampler` and "
        "`pruner`. Example: [{name: explore, trials: 30, sampler: {type: Random}}, {name: exploit, trials: 100}].",
    )

    rules = (
        Rule(
            "!has(self.phases) || (!has(self.sampler) && !has(self.pruner))",
            "give either phases, or one sampler and pruner: move them into a phase",
            lambda s: s.phases is None or (s.sampler is None and s.pruner is None),
        ),
    )
