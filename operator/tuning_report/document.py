"""A round's history as one JSON document: what the page shows, whether it is frozen into a file or live.

Pure. `page` writes the document into the file of a report; the dashboard's server sends it, and later `changes`, which
is the same document for a few trials. Trials are columns, not rows, and numbers are packed: 10,000 trials of 20
parameters take 2 MB as JSON and are read by the browser without parsing a number.
"""

import base64
import json
import math
from array import array
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from tuning_report.document_format import (
    FORMAT,
    Asked,
    ChoiceColumn,
    Counted,
    Document,
    Head,
    NamedColumn,
    NumberColumn,
    Reports,
    Trials,
)
from tuning_report.known import known_for_page
from tuning_report.round_history import History, attributes_of, metrics_of, parameters_of, reason_of, traceback_of
from tuning_report.text import REASONS, outlook_text, state_of
from tuning_report.verification import verification_for_page
from tuning_study.api.objective import Objective
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.strategy import Phase
from tuning_study.failures import grouped
from tuning_study.results.candidates import candidates
from tuning_study.results.describe import parameter_text
from tuning_study.results.feasibility import is_feasible
from tuning_study.results.hypervolume import hypervolume_history
from tuning_study.search.auto import auto_choice
from tuning_study.search.phases import phase_at

_MOST_REPORTS = 50_000
_MOST_ATTRIBUTES = 500_000  # characters, of all trials together
_MOST_TEXT = 4_000  # characters, of one text
_MOST_ALIKE = 1_000  # reasons that differ in numbers alone
_ABSENT = 0xFFFF
_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}

_Kinds = set[tuple[type[BaseDistribution], bool]]


def document(history: History, now: datetime) -> Document:
    """The whole history. `now` is when it was read, in UTC."""
    return _document(history, history.trials, now)


def changes(history: History, numbers: Collection[int], now: datetime) -> Document:
    """The same, with these trials alone."""
    return _document(history, [history.trial(number) for number in sorted(numbers)], now)


def _document(history: History, trials: Sequence[FrozenTrial], now: datetime) -> Document:
    return Document(head=_head(history, now), trials=_trials(history, trials), reports=_reports(history, trials))


def _head(history: History, now: datetime) -> Head:
    standing, resolved = history.progress, history.resolved
    stop, counts, best, spec = standing.stop_reason, standing.counts, history.best, resolved.spec
    several = len(spec.objectives) > 1
    return Head(
        format=FORMAT,
        study=resolved.study,
        name=resolved.name,
        namespace=resolved.namespace,
        round=resolved.number,
        state=state_of(history),
        reason=REASONS[stop] if stop is not None else "",
        detail=(standing.detail or "")[:_MOST_TEXT],
        counts=Counted(
            complete=counts.complete,
            pruned=counts.pruned,
            failed=counts.failed,
            running=counts.running,
            waiting=counts.waiting,
        ),
        limit=standing.limits.trials,
        seconds=round(history.active, 3),
        started=standing.started_at.replace(tzinfo=UTC).isoformat(timespec="seconds"),
        written=now.isoformat(timespec="seconds"),
        best=best.number if best else None,
        chosenBy=history.chosen_by,
        front=[trial.number for trial in history.front] if several else [],
        hypervolume=hypervolume_history(spec.objectives, candidates(history.trials)) if several else [],
        verification=verification_for_page(history),
        known=known_for_page(history),
        outlook=outlook_text(history),
        workers=[
            {"name": worker, "complete": share.complete, "pruned": share.pruned, "failed": share.failed}
            for worker, share in standing.counts_by_worker.items()
        ],
        failures=[
            {
                "reason": group.reason[:_MOST_TEXT],
                "count": group.count,
                "reasons": [reason[:_MOST_TEXT] for reason in group.reasons[:_MOST_ALIKE]],
            }
            for group in grouped(history.failures)
        ],
        diagnosis=[each.manifest() for each in history.diagnosis] if stop is not None else [],
        asked=_asked(history),
    )


def _asked(history: History) -> Asked:
    spec = history.resolved.spec
    return Asked(
        objectives=[metric.manifest() for metric in spec.objectives],
        constraints=[constraint.manifest() for constraint in spec.constraints],
        parameters=[entry.manifest() for entry in spec.parameters],
        phases=[_phase(phase, spec, history.progress.counts.used) for phase in spec.phases],
        budget=spec.budget.manifest(),
        objective=_objective(spec.objective),
        preparation=[line[:_MOST_TEXT] for line in history.preparation],
        seed=history.resolved.seed,
        versions=dict(history.versions),
    )


def _phase(phase: Phase, spec: TuningStudySpec, taken: int) -> dict[str, Any]:
    pruner = None if phase.pruner.type == "None" else phase.pruner.type
    sampler = str(phase.sampler.type)
    if sampler == "Auto":
        choice = auto_choice(spec, taken)
        sampler = f"Auto ({choice.sampler}: {choice.reason})"
    return {"name": phase.name, "trials": phase.trials, "sampler": sampler, "pruner": pruner}


def _objective(objective: Objective) -> str:
    """In one line, as its author would name it."""
    if objective.python is not None:
        return objective.python.function
    if objective.command is not None:
        return " ".join([*objective.command.command, *objective.command.args])[:_MOST_TEXT]
    assert objective.sklearn is not None
    return " → ".join(step.class_.rpartition(".")[2] for step in objective.sklearn.steps)


def _trials(history: History, trials: Sequence[FrozenTrial]) -> Trials:
    begun = min((trial.datetime_start for trial in history.trials if trial.datetime_start), default=None)

    def since(moment: datetime | None) -> float | None:
        return (moment - begun).total_seconds() if moment and begun else None

    metrics = [metrics_of(trial, history) for trial in trials]
    phases = _phases(history.resolved.spec, history.trials)
    attributes, tracebacks = _Limited(_MOST_ATTRIBUTES), _Limited(_MOST_ATTRIBUTES)
    return Trials(
        number=_numbers(trial.number for trial in trials),
        state=_choices(_STATES[trial.state] for trial in trials),
        feasible=_choices(
            ("yes" if is_feasible(trial) else "no") if trial.state is TrialState.COMPLETE else None for trial in trials
        ),
        phase=_choices(phases[trial.number] if phases else None for trial in trials),
        worker=_choices(history.workers.get(trial.number) for trial in trials),
        start=_numbers(since(trial.datetime_start) for trial in trials),
        end=_numbers(since(trial.datetime_complete) for trial in trials),
        metrics=[
            NamedColumn(name=name, column=_numbers(given.get(name) for given in metrics)) for name in history.metrics
        ],
        parameters=[_parameter(name, kinds, trials, history) for name, kinds in _kinds(history.trials).items()],
        failure=_choices(_cut(reason_of(trial)) for trial in trials),
        traceback=_choices(tracebacks.take(_cut(traceback_of(trial))) for trial in trials),
        attributes=_choices(attributes.take(_own_attributes(trial)) for trial in trials),
    )


def _kinds(trials: Sequence[FrozenTrial]) -> dict[str, _Kinds]:
    """How each parameter was ever suggested, by name in the order of their appearance."""
    found: dict[str, _Kinds] = {}
    for trial in trials:
        for name, kind in trial.distributions.items():
            found.setdefault(name, set()).add((type(kind), getattr(kind, "log", False)))
    return found


def _parameter(name: str, kinds: _Kinds, trials: Sequence[FrozenTrial], history: History) -> NamedColumn:
    """Numbers where all its values are; a name that has had two kinds of values is told as texts."""
    if any(kind is CategoricalDistribution for kind, _ in kinds):
        given = [parameters_of(trial, history) for trial in trials]
        texts = (_cut(parameter_text(values[name])) if name in values else None for values in given)
        return NamedColumn(name=name, column=_choices(texts))
    return NamedColumn(
        name=name,
        column=_numbers(trial.params.get(name) for trial in trials),
        log=any(log for _, log in kinds),
        whole=all(kind is IntDistribution for kind, _ in kinds),
    )


def _phases(spec: TuningStudySpec, trials: Sequence[FrozenTrial]) -> list[str]:
    """By number; empty where there is one phase alone. A claim counts the trials before it that have not failed."""
    phases = spec.phases
    if len(phases) < 2:
        return []
    found, taken = [], 0
    for trial in trials:
        found.append(str(phase_at(phases, taken).name))
        taken += trial.state is not TrialState.FAIL
    return found


def _own_attributes(trial: FrozenTrial) -> str | None:
    """What the objective has left on its trial, without our own."""
    own = attributes_of(trial)
    return _cut(json.dumps(own, ensure_ascii=False, default=str)) if own else None


class _Limited:
    """Texts until so many characters are used up; what comes later is left out."""

    def __init__(self, characters: int) -> None:
        self._left = characters

    def take(self, text: str | None) -> str | None:
        if text is None or len(text) > self._left:
            return None
        self._left -= len(text)
        return text


def _reports(history: History, trials: Sequence[FrozenTrial]) -> Reports:
    """All reports, or as many as a page can bear: of the running trials, the best, then the newest."""
    reported = [trial for trial in trials if trial.intermediate_values]
    told = {trial.number: trial for trial in _within(_MOST_REPORTS, reported, history)}
    points = [
        (number, step, told[number].intermediate_values[step])
        for number in sorted(told)
        for step in sorted(told[number].intermediate_values)
    ]
    return Reports(
        trial=_numbers(number for number, _, _ in points),
        step=_numbers(step for _, step, _ in points),
        value=_numbers(value for _, _, value in points),
        told=len(told),
        all=len(reported),
    )


def _within(points: int, reported: Sequence[FrozenTrial], history: History) -> Iterable[FrozenTrial]:
    if sum(len(trial.intermediate_values) for trial in reported) <= points:
        yield from reported
        return
    place = {trial.number: index for index, trial in enumerate(history.leaders)}

    def urgency(trial: FrozenTrial) -> tuple[bool, float, int]:
        return trial.state.is_finished(), place.get(trial.number, math.inf), -trial.number

    for trial in sorted(reported, key=urgency):
        points -= len(trial.intermediate_values)
        if points < 0:
            return
        yield trial


def _numbers(values: Iterable[Any]) -> NumberColumn:
    return NumberColumn(kind="number", data=_packed(array("d", map(_float, values))))


def _float(value: Any) -> float:
    if value is None:
        return math.nan
    try:
        return float(value)
    except OverflowError:  # a whole number beyond what a double holds
        return math.inf if value > 0 else -math.inf


def _choices(values: Iterable[str | None]) -> ChoiceColumn:
    """Texts beyond what an index holds are told as absent."""
    index: dict[str, int] = {}
    codes = array("H")
    for value in values:
        if value is None or (value not in index and len(index) == _ABSENT):
            codes.append(_ABSENT)
        else:
            codes.append(index.setdefault(value, len(index)))
    return ChoiceColumn(kind="choice", values=list(index), data=_packed(codes))


def _packed(values: "array[Any]") -> str:
    if _BIG_ENDIAN:
        values.byteswap()
    return base64.b64encode(values.tobytes()).decode()


_BIG_ENDIAN = array("H", [1]).tobytes() == b"\0\1"


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 1]}…"


def unpacked(column: Mapping[str, Any]) -> list[Any]:
    """What a column holds, None where a trial has nothing: for scripts that read a report, and for tests."""
    kind: Callable[[], array[Any]] = (lambda: array("d")) if column["kind"] == "number" else (lambda: array("H"))
    values = kind()
    values.frombytes(base64.b64decode(column["data"]))
    if _BIG_ENDIAN:
        values.byteswap()
    if column["kind"] == "number":
        return [None if math.isnan(value) else value for value in values]
    return [None if code == _ABSENT else column["values"][code] for code in values]
