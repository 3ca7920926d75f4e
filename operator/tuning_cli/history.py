"""What a store knows of its rounds and trials, read for people: which studies there are, and their trials as rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from tuning_cli.exceptions import WrongUse
from tuning_cli.identity import by_display_name, display_names
from tuning_store.exceptions import UnknownRound
from tuning_store.progress import Progress
from tuning_store.rounds import ROUND_ATTRIBUTE
from tuning_store.storage import Store
from tuning_study.results import (
    FAILURE_ATTRIBUTE,
    METRICS_ATTRIBUTE,
    Candidate,
    best,
    candidates,
    pareto_front,
    ranked,
)
from tuning_study.round import ResolvedRound

LOCAL = "local"  # namespace and owner of studies that ran on this machine


@dataclass(frozen=True)
class History:
    """A round with all its trials."""

    resolved: ResolvedRound
    progress: Progress
    trials: Sequence[FrozenTrial]
    workers: Mapping[int, str]  # by trial number
    failures: Sequence[tuple[str, int]]
    active: float  # seconds, without pauses

    @property
    def metrics(self) -> list[str]:
        return [metric.name for metric in self.resolved.spec.metrics]

    @cached_property
    def complete(self) -> list[FrozenTrial]:
        return [trial for trial in self.trials if trial.state is TrialState.COMPLETE]

    @cached_property
    def parameters(self) -> list[str]:
        """Every name that a trial has used, in the order of their appearance."""
        return list(dict.fromkeys(name for trial in self.trials for name in trial.params))

    @cached_property
    def best(self) -> FrozenTrial | None:
        found = best(self.resolved.spec.objectives, self._candidates)
        return self.trial(found.number) if found else None

    @cached_property
    def front(self) -> list[FrozenTrial]:
        return [self.trial(entry.number) for entry in pareto_front(self.resolved.spec.objectives, self._candidates)]

    @cached_property
    def leaders(self) -> list[FrozenTrial]:
        """All complete trials, the best first."""
        return [self.trial(entry.number) for entry in ranked(self.resolved.spec.objectives, self._candidates)]

    @cached_property
    def _candidates(self) -> list[Candidate]:
        return candidates(self.trials)

    def trial(self, number: int) -> FrozenTrial:
        return self.trials[number]


def read(store: Store, study: str) -> History:
    """Raises UnknownRound."""
    standing = store.ledger.progress().get(study)
    if standing is None:
        raise UnknownRound(f"the store has no study {study}")
    loaded = store.load_study(study)
    workers = store.ledger.workers(study)
    names = display_names(workers.values())
    return History(
        resolved=ResolvedRound.model_validate(loaded.user_attrs[ROUND_ATTRIBUTE]),
        progress=replace(standing, shares=by_display_name(standing.shares)),
        trials=loaded.get_trials(deepcopy=False),
        workers={number: names[worker] for number, worker in workers.items()},
        failures=store.ledger.failures(study),
        active=store.ledger.active_seconds(study),
    )


def local_studies(store: Store) -> dict[str, Progress]:
    """The studies that ran on this machine by name, each at its newest round."""
    found: dict[str, Progress] = {}
    for standing in sorted(store.ledger.progress().values(), key=lambda p: p.started_at):
        namespace, _, rest = standing.study.partition("/")
        if namespace == LOCAL:
            found[rest.split("/")[0]] = standing
    return found


def choose(studies: Mapping[str, Progress], name: str | None) -> Progress:
    """The study of that name; without a name, the only one. Raises WrongUse."""
    if not studies:
        raise WrongUse("the store holds no study yet: start one with `tuning run FILE`")
    if name is None and len(studies) == 1:
        return next(iter(studies.values()))
    if name is None or name not in studies:
        asked = "give the name of one study" if name is None else f"no study {name} in the store"
        raise WrongUse(f"{asked}; it holds {', '.join(sorted(studies))}")
    return studies[name]


def metrics_of(trial: FrozenTrial, history: History) -> dict[str, float]:
    """Every metric that the trial reported; the last report of a trial that was pruned."""
    objectives = [metric.name for metric in history.resolved.spec.objectives]
    given: Mapping[str, float] = trial.user_attrs.get(METRICS_ATTRIBUTE) or {}
    if not given and trial.values:
        given = dict(zip(objectives, trial.values, strict=False))
    if not given and trial.intermediate_values and len(objectives) == 1:
        given = {objectives[0]: trial.intermediate_values[max(trial.intermediate_values)]}
    return {name: float(given[name]) for name in history.metrics if name in given}


def rows(history: History, trials: Sequence[FrozenTrial]) -> list[dict[str, Any]]:
    """Trials for scripts: plain values only."""
    return [
        {
            "trial": trial.number,
            "state": trial.state.name.capitalize() if trial.state is not TrialState.FAIL else "Failed",
            "worker": history.workers.get(trial.number),
            "seconds": round(trial.duration.total_seconds(), 3) if trial.duration is not None else None,
            "metrics": metrics_of(trial, history),
            "feasible": feasible(trial) if trial.state is TrialState.COMPLETE else None,
            "parameters": dict(trial.params),
            "reason": reason_of(trial),
        }
        for trial in trials
    ]


def feasible(trial: FrozenTrial) -> bool:
    return all(value <= 0 for value in trial.constraints.values())


def reason_of(trial: FrozenTrial) -> str | None:
    return str(trial.user_attrs[FAILURE_ATTRIBUTE]) if FAILURE_ATTRIBUTE in trial.user_attrs else None


def table_rows(history: History, found: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """The same for people: a column for each metric, parameters in one, and no column that says nothing."""
    listed = [
        {
            "trial": row["trial"],
            "state": row["state"],
            "worker": row["worker"],
            "seconds": row["seconds"],
            **{name: row["metrics"].get(name) for name in history.metrics},
            **({"feasible": row["feasible"]} if history.resolved.spec.constraints else {}),
            "parameters": row["parameters"],
            "reason": row["reason"],
        }
        for row in found
    ]
    silent = {key for key in ("reason",) if all(row[key] is None for row in listed)}
    return [{key: value for key, value in row.items() if key not in silent} for row in listed]
