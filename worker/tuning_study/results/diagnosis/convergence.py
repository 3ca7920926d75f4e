"""Whether trials grow better as the sampler learns, and whether their values can be trusted to say so."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from optuna.trial import FrozenTrial

from tuning_study.results.diagnosis.evidence import Evidence, Floats, distances, number, percent, ranks, was_given

_LEAST_TO_CONVERGE = 50
_SURE = 1.0  # standard deviations: random search has a last half that much better once in six
_NEIGHBOURS = 5
_ALIKE = 0.15  # rank correlation with neighbours; of values that their parameters do not explain it is about 0
_MOST_COMPARED = 400  # trials, as each is compared with each

_LEAST_TO_STAND_STILL = 200
_STANDSTILL, _STANDSTILL_UNGUIDED = 0.75, 0.98  # of all trials; random search often finds its best early
_WORTH_NAMING = 0.001  # of the middle half's width: less is no improvement

_LEAST_IN_PHASE = 20

_LEAST_REPEATS = 8  # degrees of freedom
_NOISE = 0.5  # of the variance among trials


def no_convergence(evidence: Evidence) -> Iterator[str]:
    """The last half of the trials is no better than the first, as of random search, and like parameters have unlike
    values: a sampler that has found the best early still has neighbours that are alike."""
    if not evidence.single or not evidence.guided:
        return
    drawn = [index for index, trial in enumerate(evidence.ranked) if not was_given(trial)]
    if len(drawn) < _LEAST_TO_CONVERGE:
        return
    costs = evidence.costs[drawn]
    half = len(costs) // 2
    first, last = costs[:half], costs[half:]
    if _advantage(first, last) >= _SURE:
        return
    likeness = _likeness([evidence.ranked[index] for index in drawn][-_MOST_COMPARED:], costs[-_MOST_COMPARED:])
    if likeness >= _ALIKE:
        return
    medians = [evidence.value(float(np.median(part))) for part in (first, last)]
    yield (
        f"the last {len(last)} of {len(costs)} trials are no better than the first {half} (median {evidence.metric} "
        f"{medians[1]} after {medians[0]}), and trials with like parameters have unlike values (rank correlation "
        f"{likeness:.2f}): the parameters explain little of it. Tune other parameters or wider ranges, measure with "
        "less noise (more folds, repeats or data), or give it many more trials"
    )


def _advantage(first: Floats, last: Floats) -> float:
    """By how many standard deviations the last are better: Mann and Whitney's statistic, standardised."""
    placed = ranks(np.concatenate([first, last]))
    n, m = len(first), len(last)
    spread = math.sqrt(n * m * (n + m + 1) / 12)
    return float((placed[:n].sum() - n * (n + m + 1) / 2) / spread)


def _likeness(trials: Sequence[FrozenTrial], costs: Floats) -> float:
    """The rank correlation of trials with those whose parameters are most like theirs."""
    apart = distances(trials)
    np.fill_diagonal(apart, np.inf)
    placed = ranks(costs)
    near = placed[apart.argsort(axis=1, kind="stable")[:, :_NEIGHBOURS]].mean(axis=1)
    if placed.std() == 0 or near.std() == 0:
        return 0.0
    return float(np.corrcoef(placed, near)[0, 1])


def more_trials_than_it_can_use(evidence: Evidence) -> Iterator[str]:
    count = len(evidence.costs)
    if not evidence.single or count < _LEAST_TO_STAND_STILL:
        return
    last = _last_improvement(evidence.costs)
    since = count - 1 - last
    if since < (_STANDSTILL if evidence.guided else _STANDSTILL_UNGUIDED) * count:
        return
    best = evidence.value(float(evidence.costs[last]))
    enough = math.ceil(1.5 * (last + 1) / 10) * 10
    yield (
        f"trial {evidence.ranked[last].number} has the best {evidence.metric} ({best}), and none of the {since} "
        f"complete trials since is better, {percent(since / count)} of all: write `budget.trials: {max(enough, 50)}`, "
        "or search a larger space"
    )


def _last_improvement(costs: Floats) -> int:
    """The place of the last trial that improved on all before by an amount worth naming."""
    least = _WORTH_NAMING * float(np.subtract(*np.percentile(costs, [75, 25])))
    best, place = math.inf, 0
    for index, cost in enumerate(costs):
        if cost < best - least:
            best, place = float(cost), index
    return place


def phase_brought_nothing(evidence: Evidence) -> Iterator[str]:
    """The first phase that has ended and found nothing better than those before it."""
    if not evidence.single:
        return
    phases = evidence.by_phase
    ended = phases if evidence.over else phases[:-1]
    for place, (phase, trials) in enumerate(ended):
        before = _best(evidence, [trial for _, others in phases[:place] for trial in others])
        here = _best(evidence, trials)
        if before is None or len(trials) < _LEAST_IN_PHASE or (here is not None and here < before):
            continue
        found = f"its best {evidence.metric} is {evidence.value(here)}" if here is not None else "none is feasible"
        yield (
            f"the {len(trials)} trials of phase {phase.name} ({phase.sampler.type}) found nothing better than the "
            f"{evidence.value(before)} of before ({found}): leave the phase out, or give its trials to an earlier one"
        )
        return


def _best(evidence: Evidence, trials: Sequence[FrozenTrial]) -> float | None:
    numbers = {trial.number for trial in trials}
    mine = [cost for trial, cost in zip(evidence.ranked, evidence.costs, strict=True) if trial.number in numbers]
    return float(min(mine)) if mine else None


def unstable_objective(evidence: Evidence) -> Iterator[str]:
    """One setting's values differ from run to run about as much as different settings' do."""
    groups = _runs_of_one_setting(evidence)
    degrees = sum(len(runs) - 1 for runs in groups)
    half = evidence.costs[: max(len(evidence.costs) // 2, 1)]  # later ones are alike, as the sampler has converged
    if degrees < _LEAST_REPEATS or len(half) < _LEAST_REPEATS:
        return
    noise = math.sqrt(sum(float(np.var(runs)) * len(runs) for runs in groups) / degrees)
    spread = float(np.std(half, ddof=1))
    robust = float(np.subtract(*np.percentile(half, [75, 25]))) / 1.349
    spread = min(spread, robust) if robust > 0 else spread
    if noise == 0 or noise**2 < _NOISE * spread**2:
        return
    yield (
        f"{evidence.metric} of the same parameters differs by {number(noise)} (standard deviation) from run to run, "
        f"and of different parameters by {number(spread)}: the best trial is mostly luck. Measure each trial with less "
        "noise (more folds, repeats or data), and verify the best with `verification: {top: 5, repeats: 10}`"
    )


def _runs_of_one_setting(evidence: Evidence) -> list[list[float]]:
    """The values of each setting that was measured twice or more: by verification, else by chance."""
    if evidence.verified is not None:
        groups = [[values[0] for values in each.values.values()] for each in evidence.verified.candidates]
    else:
        by_setting: dict[str, list[float]] = defaultdict(list)
        for trial, cost in zip(evidence.ranked, evidence.costs, strict=True):
            by_setting[repr(sorted(trial.params.items()))].append(float(cost))
        groups = list(by_setting.values())
    return [[value for value in runs if math.isfinite(value)] for runs in groups if len(runs) > 1]
