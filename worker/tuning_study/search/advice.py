"""What is allowed and yet seldom meant.

A direction that finds the worst, a placeholder that nothing fills in, a sampler that costs more than the trials or that
does not suit the space. What is asked of the space and of the study's size is in modules of its own.
"""

import math
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import chain

from tuning_study.api.metrics import Metric
from tuning_study.api.objective import CommandObjective, variable
from tuning_study.api.options import SamplerOptions
from tuning_study.api.parameters import Parameter
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.strategy import Phase, Pruner
from tuning_study.search.no_improvement import of_no_improvement
from tuning_study.search.scale_advice import of_scale
from tuning_study.search.scorers import MEASURES, SCORERS
from tuning_study.search.space_advice import of_space

_GP_TRIALS = 1000  # above this, fitting takes seconds per suggestion, and only 300 trials are used
_GP_PARAMETERS = 20  # above this, a few hundred trials are too few to learn from
_GENERATIONS = 10  # until CMA-ES has learned a space's shape
_P_THRESHOLD = 0.1  # Wilcoxon's, if none is given


_BRACES = re.compile(r"(\$?)\{([^{}]+)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LOSS = re.compile(r"(?:^|[_./-])(?:loss|error|err|mae|mse|rmse|mape|perplexity)$|[a-z](?:Loss|Error)$")


def advice(spec: TuningStudySpec) -> list[str]:
    """One sentence for each thing to reconsider, with its place. None of it keeps the study from running."""
    return [
        *chain.from_iterable(_of_metric(metric, spec) for metric in spec.metrics),
        *of_space(spec.parameters),
        *_of_conditions(spec.parameters),
        *(_of_command(spec.objective.command, spec.parameters) if spec.objective.command else ()),
        *(f"strategy: {sentence}" for phase in spec.phases for sentence in _of_phase(phase, spec)),
        *of_scale(spec),
        *(f"budget.noImprovement: {sentence}" for sentence in of_no_improvement(spec)),
    ]


def _of_metric(metric: Metric, spec: TuningStudySpec) -> Iterator[str]:
    place, name = f"metrics.{metric.name}", metric.scorer_name
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
    if metric.pattern and metric.direction and "<step>" not in metric.pattern and _prunes(spec):
        yield (
            f"{place}.pattern: without a group `step` it reads no intermediate reports, and the pruner has nothing to"
            " judge: write as 'epoch (?P<step>\\d+) .*loss (?P<value>\\S+)', or `pruner: {type: None}`"
        )
    if not known or not name.startswith("neg_"):
        return
    if metric.goal is not None and metric.goal > 0:
        yield f"{place}.goal: never reached, as {name} is never above 0: write -{metric.goal:.15g}"
    if any(constraint.metric == name and (constraint.min or 0) > 0 for constraint in spec.constraints):
        yield f"constraints: no trial is feasible, as {name} is never above 0: write its min below 0"


def _prunes(spec: TuningStudySpec) -> bool:
    return any(phase.pruner.type != "None" for phase in spec.phases)


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
    yield from _of_wilcoxon(phase.pruner, spec)
    match phase.sampler.type:
        case "GP":
            if bounded and trials > _GP_TRIALS:
                yield f"GP learns from 200 trials, the best and the newest: for {trials} use TPE, which learns from all"
            if len(spec.parameters) > _GP_PARAMETERS:
                yield f"GP learns little of {len(spec.parameters)} parameters: beyond {_GP_PARAMETERS} use TPE"
        case "CmaEs":
            yield from _of_cma_es(spec, trials if bounded else None, phase.sampler.options)
        case "QMC" if conditional:
            yield f"QMC spreads evenly what each trial has; {', '.join(conditional)} may be drawn at random: use TPE"


def _of_cma_es(spec: TuningStudySpec, trials: int | None, options: SamplerOptions) -> Iterator[str]:
    numbers_only = options.use_separable_cma or options.with_margin or options.lr_adapt
    drawn = [p for p in spec.parameters if p.when is None and not (numbers_only and p.type == "Categorical")]
    if spec.parameters and not drawn:
        needed = "Float or Int parameters" if numbers_only else "parameters"
        yield f"CmaEs needs {needed} without `when`; with none all is drawn at random: use TPE"
        return
    if random := _names(parameter for parameter in spec.parameters if parameter not in drawn):
        kinds = "Categorical and conditional" if numbers_only else "conditional"
        yield f"CmaEs draws {kinds} parameters at random ({random}): where they matter use TPE"
    if len(spec.objectives) > 1:
        yield f"CmaEs follows the first objective alone ({spec.objectives[0].name}): for all of them use TPE or NSGAII"
    if spec.constraints:
        yield "CmaEs ignores constraints: use TPE"
    size = options.popsize or 4 + math.floor(3 * math.log(max(len(drawn), 1)))
    if trials is not None and trials < _GENERATIONS * size:
        yield f"CmaEs learns by generations of {size}, and {trials} trials are fewer than {_GENERATIONS}: use TPE or GP"
    if spec.workers.replicas > size:
        yield f"CmaEs learns from {size} trials of a generation, the others' work is lost: {size} workers are enough"


def _of_wilcoxon(pruner: Pruner, spec: TuningStudySpec) -> Iterator[str]:
    """The test is sure of nothing with few folds, and a trial's last one is too late to prune it."""
    sklearn, judge = spec.objective.sklearn, pruner.wrapped or pruner
    if judge.type != "Wilcoxon" or sklearn is None or not isinstance(sklearn.splitter, str):
        return
    threshold = judge.options.p_threshold if judge.options.p_threshold is not None else _P_THRESHOLD
    if threshold == 0:
        yield "Wilcoxon with a pThreshold of 0 prunes nothing: write 0.1"
        return
    how = sklearn.cross_validation
    folds = 1 if sklearn.splitter == "Holdout" else how.folds
    least = max(math.floor(-math.log2(threshold)) + 1, judge.options.n_startup_steps or 2)
    if folds * how.repeats <= least:
        yield (
            f"Wilcoxon is sure after {least} folds at the earliest, and a trial has {folds * how.repeats}: "
            f"write `crossValidation: {{folds: {max(2 * least, 10)}}}`, `repeats`, or another pruner"
        )


def _names(parameters: Iterator[Parameter]) -> str:
    return ", ".join(parameter.name for parameter in parameters)
