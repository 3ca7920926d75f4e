"""What it takes to repeat a round or one of its trials, and how a repetition compares with what is stored. Pure; the
run itself is local.repeating.

A trial's seed follows from the round's and from its number, so a trial is repeated under its own number: those before
it are there as they ended, which pruners look at, too.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from optuna.trial import FrozenTrial, TrialState, create_trial

from tuning_client.exceptions import TuningError, WrongUse
from tuning_report.format import table
from tuning_report.round_history import History, metrics_of, parameters_of, reason_of
from tuning_report.text import why_no_best
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.strategy import Sampler, Strategy
from tuning_study.attributes import POINT_ATTRIBUTE
from tuning_study.round import ResolvedRound
from tuning_study.search.space import Point
from tuning_study.values import same_value

BEST: Final = "best"
_TIMED = ("fitSeconds", "latencyMs")  # measurements of scikit-learn pipelines that no machine repeats
_MORE_FAILURES = 3  # than the round had, after which a repetition of it ends


@dataclass(frozen=True)
class Repetition:
    """A round that repeats trials of another."""

    resolved: ResolvedRound
    """The other round, with limits that end it once all is repeated."""
    before: Sequence[FrozenTrial]
    """Trials that are there from the beginning, as they ended."""
    points: Sequence[Point]
    """Of the trials that wait after them."""
    known: Sequence[Point]
    """Of those that follow, as the round's workers had decided."""
    trials: Sequence[int]
    """Numbers of those that are repeated."""


def of_trial(history: History, wanted: str) -> Repetition:
    """Of the best trial, or the one of that number. Raises WrongUse for one that came to no result."""
    trial = _chosen(history, wanted)
    before = [_ended(other) for other in history.trials[: trial.number]]
    used = sum(other.state is not TrialState.FAIL for other in before)
    spec = _limited(history.resolved.spec, trials=used + 1, failures=len(before) - used + 1, fail_fast=0)
    spec = spec.model_copy(update={"strategy": _without_search(spec)})
    resolved = history.resolved.model_copy(update={"spec": spec})
    return Repetition(resolved, before, [dict(trial.params)], [], [trial.number])


def of_round(history: History) -> Repetition:
    """Of all trials, with the sampler that drew them."""
    over = [trial for trial in history.trials if trial.state.is_finished()]
    used = sum(trial.state is not TrialState.FAIL for trial in over)
    if not used:
        raise WrongUse(f"round {history.resolved.number} of {history.resolved.name} has no trial that came to a result")
    failures = len(over) - used + _MORE_FAILURES
    fail_fast = history.resolved.spec.budget.fail_fast
    spec = _limited(history.resolved.spec, trials=used, failures=failures, fail_fast=fail_fast)
    points = [trial.system_attrs.get(POINT_ATTRIBUTE, {}) for trial in history.trials[: history.known_from]]
    known = [entry["point"] for entry in history.known.get("suggestions", ())]
    resolved = history.resolved.model_copy(update={"spec": spec})
    return Repetition(resolved, [], points, known, [trial.number for trial in over])


def _chosen(history: History, wanted: str) -> FrozenTrial:
    name, number = history.resolved.name, history.resolved.number
    if wanted == BEST:
        if history.best is None:
            raise TuningError(f"{name}, round {number}: {why_no_best(history)}")
        return history.best
    if not wanted.isdigit():
        raise WrongUse(f"--trial {wanted}: write best, or the number of a trial")
    if int(wanted) >= len(history.trials):
        raise WrongUse(f"there is no trial {wanted}: round {number} of {name} has {len(history.trials)}, from 0 on")
    trial = history.trial(int(wanted))
    if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
        why = reason_of(trial) or trial.state.name.lower()
        raise WrongUse(f"trial {wanted} came to no result to compare with: {why}")
    return trial


def _ended(trial: FrozenTrial) -> FrozenTrial:
    return trial if trial.state.is_finished() else create_trial(state=TrialState.FAIL)


def _limited(spec: TuningStudySpec, *, trials: int, failures: int, fail_fast: int) -> TuningStudySpec:
    """Without what else would end it, nor measure its best again."""
    limits = {"trials": trials, "failed_trials": failures, "fail_fast": fail_fast}
    others = {"duration": None, "no_improvement": None, "start_deadline": None}
    return spec.model_copy(
        update={
            "metrics": [metric.model_copy(update={"goal": None}) for metric in spec.metrics],
            "budget": spec.budget.model_copy(update=limits | others),
            "verification": None,
        }
    )


def _without_search(spec: TuningStudySpec) -> Strategy:
    """The same pruners, and nothing to fit: the parameters are known."""
    drawn = {"sampler": Sampler(type="Random")}
    if spec.strategy.phases is not None:
        phases = [phase.model_copy(update=drawn) for phase in spec.strategy.phases]
        return spec.strategy.model_copy(update={"phases": phases})
    return spec.strategy.model_copy(update=drawn)


@dataclass(frozen=True)
class Value:
    """One thing of one trial, as it is stored and as it came out again."""

    trial: int
    what: str
    stored: Any
    repeated: Any
    timed: bool = False
    """Whether it measures time, so that nobody expects it to be equal."""

    @property
    def equal(self) -> bool:
        one, other = self.stored, self.repeated
        both_nan = isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other)
        return both_nan or same_value(one, other)


@dataclass(frozen=True)
class Comparison:
    """A repetition beside what is stored."""

    name: str
    round: int
    trials: Sequence[int]
    whole: bool
    values: Sequence[Value]
    reasons: Sequence[str]
    """What may explain the differences, where there are any."""

    @property
    def differences(self) -> list[Value]:
        return [value for value in self.values if not (value.equal or value.timed)]

    @property
    def equal(self) -> bool:
        return not self.differences


def compare(
    history: History, again: History, trials: Sequence[int], *, whole: bool, changed_files: Sequence[str] = ()
) -> Comparison:
    """`again` is the repetition; `changed_files` are those of the objective that are not what they were."""
    values = [value for number in trials for value in _of_trial(history, again, number)]
    found = Comparison(history.resolved.name, history.resolved.number, trials, whole, values, [])
    if found.equal:
        return found
    reasons = [*_reasons(history, again, changed_files, whole=whole)] or [_NOTHING_RECORDED]
    return Comparison(found.name, found.round, trials, whole, values, reasons)


def _of_trial(history: History, again: History, number: int) -> Iterator[Value]:
    stored = history.trial(number)
    if number >= len(again.trials):
        yield Value(number, "trial", "is there", "is missing")
        return
    repeated = again.trial(number)
    yield from _pairs(number, "parameter ", parameters_of(stored, history), parameters_of(repeated, again))
    failed = repeated.state is TrialState.FAIL and stored.state is not TrialState.FAIL
    why = f": {reason_of(repeated)}" if failed else ""
    yield Value(number, "state", stored.state.name.capitalize(), repeated.state.name.capitalize() + why)
    timed = _TIMED if history.resolved.spec.objective.sklearn is not None else ()
    yield from _pairs(number, "", metrics_of(stored, history), {} if failed else metrics_of(repeated, again), timed)
    if not set(timed) & {metric.name for metric in history.resolved.spec.objectives}:
        reports = {f"step {step}": value for step, value in sorted(stored.intermediate_values.items())}
        others = {f"step {step}": value for step, value in sorted(repeated.intermediate_values.items())}
        yield from _pairs(number, "report at ", reports, others)


def _pairs(
    number: int, kind: str, stored: Mapping[str, Any], repeated: Mapping[str, Any], timed: Sequence[str] = ()
) -> Iterator[Value]:
    for name in dict.fromkeys([*stored, *repeated]):
        yield Value(number, f"{kind}{name}", stored.get(name), repeated.get(name), name in timed)


_NOTHING_RECORDED = (
    "nothing that is recorded differs: the objective may draw numbers without the trial's seed, measure time, or read "
    "what has changed; another processor or another number of threads can change the last digits"
)


def _reasons(history: History, again: History, changed_files: Sequence[str], *, whole: bool) -> Iterator[str]:
    for package in sorted(history.versions.keys() | again.versions.keys()):
        before, now = history.versions.get(package), again.versions.get(package)
        if before != now:
            yield f"{package}: {before or 'not installed'} then, {now or 'not installed'} here"
    if history.data is not None and history.data != again.data:
        yield f"the data: {history.data} then, {again.data or 'unknown'} here"
    for file in changed_files:
        yield f"{file} has changed since"
    workers = len(set(history.workers.values()))
    if whole and workers > 1:
        yield (
            f"{workers} workers took the trials: what a sampler knew when it drew one depends on which had ended by "
            "then. Each trial by itself can be repeated, with --trial NUMBER"
        )
    decides = {metric.name for metric in history.resolved.spec.objectives}
    decides |= {constraint.metric for constraint in history.resolved.spec.constraints}
    if whole and history.resolved.spec.objective.sklearn is not None and (timed := sorted(decides & set(_TIMED))):
        yield f"{' and '.join(timed)} measures time, and the search follows it"


def lines(found: Comparison) -> list[str]:
    """For people."""
    title = f"{found.name}, round {found.round}"
    timed = [value for value in found.values if value.timed and not value.equal]
    remark = [f"{_names(timed)} measures time, and is not compared"] if timed else []
    if found.equal and found.whole:
        return [f"{title}: {len(found.trials)} trials came out again, bit for bit", *remark]
    if not found.whole:
        return [*_of_one(title, found), *remark, *_explained(found)]
    differ = list(dict.fromkeys(value.trial for value in found.differences))
    heading = f"{title}: {len(differ)} of {len(found.trials)} trials differ, and trial {differ[0]} is the first"
    first = [_row(value) for value in found.differences if value.trial == differ[0]]
    return [heading, "", table(first), *remark, *_explained(found)]


def _of_one(title: str, found: Comparison) -> list[str]:
    [number] = found.trials
    told = "equal, bit for bit" if found.equal else "different"
    shown = [value for value in found.values if not value.what.startswith(("parameter ", "report ")) or not value.equal]
    return [f"{title}, trial {number}: {told}", "", table([_row(value) for value in shown])]


def _row(value: Value) -> dict[str, object]:
    verdict = "yes" if value.equal else "not compared" if value.timed else "no"
    return {
        "trial": value.trial,
        "what": value.what,
        "stored": _exact(value.stored),
        "repeated": _exact(value.repeated),
        "equal": verdict,
    }


def _exact(value: Any) -> str:
    """All digits: a difference may be in the last."""
    return "-" if value is None else repr(value) if isinstance(value, float) else str(value)


def _names(values: Sequence[Value]) -> str:
    return " and ".join(dict.fromkeys(value.what for value in values))


def _explained(found: Comparison) -> list[str]:
    return ["", "likely because of", *(f"  {reason}" for reason in found.reasons)] if found.reasons else []


def document(found: Comparison) -> dict[str, Any]:
    """For programs."""
    return {
        "study": found.name,
        "round": found.round,
        "trials": list(found.trials),
        "equal": found.equal,
        "firstDifference": found.differences[0].trial if found.differences else None,
        "values": [
            {
                "trial": value.trial,
                "what": value.what,
                "stored": _plain(value.stored),
                "repeated": _plain(value.repeated),
                "equal": value.equal,
                **({"measuresTime": True} if value.timed else {}),
            }
            for value in (found.values if not found.whole else found.differences)
        ],
        "reasons": list(found.reasons),
    }


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
