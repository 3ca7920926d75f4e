"""What is allowed and yet seldom meant.

A direction that finds the worst, a placeholder that nothing fills in, a sampler that costs more than the trials or that
does not suit the space.
"""

import math
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import chain

from tuning_study.scorers import MEASURES, SCORERS
from tuning_study.spec import CommandObjective, Metric, Parameter, Phase, TuningStudySpec, variable

_GP_TRIALS = 1000  # computed for seconds each, while a process keeps no more than 300 of them
_GP_PARAMETERS = 20  # of which a few hundred trials say little to a process
_GENERATIONS = 10  # until CMA-ES has learned a space's shape


_BRACES = re.compile(r"(\$?)\{([^{}]+)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LOSS = re.compile(r"(?:^|[_./-])(?:loss|error|err|mae|mse|rmse|mape|perplexity)$|[a-z](?:Loss|Error)$")


def advice(spec: TuningStudySpec) -> list[str]:
    """One sentence for each thing to reconsider, with its place. None of it keeps the study from running."""
    return [
        *chain.from_iterable(_of_metric(metric, spec) for metric in spec.metrics),
        *_of_conditions(spec.parameters),
        *(_of_command(spec.objective.command, spec.parameters) if spec.objective.command else ()),
        *(f"strategy: {sentence}" for phase in spec.phases for sentence in _of_phase(phase, spec)),
    ]


def _of_metric(metric: Metric, spec: TuningStudySpec) -> Iterator[str]:
    place, name = f"metrics.{metric.name}", metric.name
    known, ours = name in SCORERS, spec.objective.sklearn is not None
    if ours and not known and name not in MEASURES:
        close = get_close_matches(name, [*SCORERS, *MEASURES], n=1)
        hint = f": did you mean {close[0]}?" if close else ""
        yield f"{place}: scikit-learn has no scorer of this name{hint}"
    elif known and metric.direction == "Minimize":
        yield f"{place}: Minimize finds the worst, as scikit-learn's scores are greater-is-better: write Maximize"
    elif ours and name in MEASURES and metric.direction == "Maximize":
        yield f"{place}: Maximize finds the worst, as less of it is better: write Minimize"
    elif not known and metric.direction == "Maximize" and _LOSS.search(name) and not name.startswith("neg"):
        yield f"{place}: Maximize finds the largest {name}: write Minimize, unless that is what you want"
    if not known or not name.startswith("neg_"):
        return
    if metric.goal is not None and metric.goal > 0:
        yield f"{place}.goal: never reached, as {name} is never above 0: write -{metric.goal:.15g}"
    if any(constraint.metric == name and (constraint.min or 0) > 0 for constraint in spec.constraints):
        yield f"constraints: no trial is feasible, as {name} is never above 0: write its min below 0"


def _of_conditions(parameters: Sequence[Parameter]) -> Iterator[str]:
    endless = {p.name for p in parameters if p.type == "Float" and p.step is None and p.min != p.max}
    for parameter in parameters:
        if parameter.when and (parent := parameter.when.parameter) in endless:
            yield (
                f"parameters.{parameter.name}.when: {parent} is a Float without `step`, and hardly ever has exactly"
                " such a value: give it a `step`, or make it Int or Categorical"
            )


def _of_command(objective: CommandObjective, parameters: Sequence[Parameter]) -> Iterator[str]:
    conditional = [parameter.name for parameter in parameters if parameter.when]
    for field, texts in (("command", objective.command), ("args", objective.args)):
        for index, text in enumerate(texts):
            place = f"objective.command.{field}[{index}]"
            yield from (f"{place}: {sentence}" for sentence in _of_text(text, [p.name for p in parameters]))
            left_out = [name for name in conditional if f"{{{name}}}" in text]
            if left_out and (field == "command" or any(space in text for space in " \t\n")):
                yield (
                    f"{place}: left out whole in trials without {left_out[0]}: make it an argument of its own, or read"
                    f" $TUNING_PARAM_{variable(left_out[0])}"
                )


def _of_text(text: str, names: Sequence[str]) -> Iterator[str]:
    """Of one element of the command line: what looks like a parameter's place and is none."""
    for dollar, inner in dict.fromkeys(_BRACES.findall(text)):
        meant = inner.removeprefix("trialParameters.").strip()
        if inner in names:
            if dollar:
                yield f"only {{{inner}}} of ${{{inner}}} is filled in, and the $ stays: write {{{inner}}}"
        elif dollar and meant == inner.strip():
            continue  # a variable of the shell
        elif _NAME.fullmatch(meant):
            close = _closest(meant, names)
            hint = f"did you mean {{{close}}}?" if close else f"the parameters are {', '.join(names)}"
            yield f"{dollar}{{{inner}}} stays as it is, as no parameter has that name: {hint}"
    variables = {variable(name): name for name in names}
    for given in dict.fromkeys(re.findall(r"TUNING_PARAM_(\w+)", text)):
        if given not in variables:
            close = _closest(given, list(variables))
            hint = f"did you mean TUNING_PARAM_{close}?" if close else f"the parameters are {', '.join(names)}"
            yield f"nothing sets TUNING_PARAM_{given}: {hint}"


def _closest(given: str, names: Sequence[str]) -> str | None:
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in names}
    close = get_close_matches(re.sub(r"[^a-z0-9]", "", given.lower()), plain, n=1)
    return plain[close[0]] if close else None


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
            yield from _of_cma_es(spec, trials if bounded else None, phase.sampler.options.popsize)
        case "QMC" if conditional:
            yield f"QMC spreads evenly what each trial has; {', '.join(conditional)} may be drawn at random: use TPE"


def _of_cma_es(spec: TuningStudySpec, trials: int | None, popsize: int | None) -> Iterator[str]:
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
    size = popsize or 4 + math.floor(3 * math.log(max(len(drawn), 1)))
    if trials is not None and trials < _GENERATIONS * size:
        yield f"CmaEs learns by generations of {size}, and {trials} trials are fewer than {_GENERATIONS}: use TPE or GP"
    if spec.workers.replicas > size:
        yield f"CmaEs learns from {size} trials of a generation, the others' work is lost: {size} workers are enough"


def _is_ordered_and_shared(parameter: Parameter) -> bool:
    return parameter.type != "Categorical" and parameter.when is None


def _names(parameters: Iterator[Parameter]) -> str:
    return ", ".join(parameter.name for parameter in parameters)
