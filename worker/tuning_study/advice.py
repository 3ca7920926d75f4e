"""What is allowed and yet seldom wise: a sampler that costs more than the trials, or that the space does not suit."""

import math
from collections.abc import Iterator

from tuning_study.spec import Parameter, Phase, TuningStudySpec

_GP_TRIALS = 1000  # computed for seconds each, while a process keeps no more than 300 of them
_GP_PARAMETERS = 20  # of which a few hundred trials say little to a process
_GENERATIONS = 10  # until CMA-ES has learned a space's shape


def advice(spec: TuningStudySpec) -> list[str]:
    """One sentence for each thing to reconsider, with its place. None of it keeps the study from running."""
    return [f"strategy: {sentence}" for phase in spec.phases for sentence in _of_phase(phase, spec)]


def _of_phase(phase: Phase, spec: TuningStudySpec) -> Iterator[str]:
    trials = min(phase.trials, spec.budget.trials or phase.trials)
    bounded = spec.budget.trials is not None or len(spec.phases) > 1
    conditional = [parameter.name for parameter in spec.parameters if parameter.when]
    match phase.sampler.type:
        case "GP":
            if bounded and trials > _GP_TRIALS:
                yield f"GP computes for seconds before each of {trials} trials: beyond {_GP_TRIALS} use TPE"
            if len(spec.parameters) > _GP_PARAMETERS:
                yield f"GP learns little of {len(spec.parameters)} parameters: beyond {_GP_PARAMETERS} use TPE"
        case "CmaEs":
            yield from _of_cma_es(spec, trials if bounded else None, phase.sampler.options.get("popsize"))
        case "QMC" if conditional:
            yield f"QMC spreads evenly what each trial has; {', '.join(conditional)} may be drawn at random: use TPE"


def _of_cma_es(spec: TuningStudySpec, trials: int | None, popsize: object) -> Iterator[str]:
    drawn = [parameter for parameter in spec.parameters if _is_ordered_and_shared(parameter)]
    if spec.parameters and not drawn:
        yield "CmaEs needs Float or Int parameters without `when`; with none all is drawn at random: use TPE"
        return
    if random := _names(parameter for parameter in spec.parameters if not _is_ordered_and_shared(parameter)):
        yield f"CmaEs draws Categorical and conditional parameters at random ({random}): where they matter use TPE"
    if len(spec.objectives) > 1:
        yield f"CmaEs follows the first objective alone ({spec.objectives[0].name}): for all of them use TPE or NSGAII"
    if spec.constraints:
        yield "CmaEs pays no heed to constraints: use TPE"
    size = popsize if isinstance(popsize, int) else 4 + math.floor(3 * math.log(max(len(drawn), 1)))
    if trials is not None and trials < _GENERATIONS * size:
        yield f"CmaEs learns by generations of {size}, and {trials} trials are fewer than {_GENERATIONS}: use TPE or GP"
    if spec.workers.replicas > size:
        yield f"CmaEs learns from {size} trials of a generation, the others' work is lost: {size} workers are enough"


def _is_ordered_and_shared(parameter: Parameter) -> bool:
    return parameter.type != "Categorical" and parameter.when is None


def _names(parameters: Iterator[Parameter]) -> str:
    return ", ".join(parameter.name for parameter in parameters)
