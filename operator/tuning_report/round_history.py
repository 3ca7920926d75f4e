"""A round with all its trials, as a store knows them, and the trials as rows. Read by reports and commands."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from tuning_report.run_identity import is_interrupted
from tuning_report.worker_names import by_display_name, display_names
from tuning_store import rounds
from tuning_store.exceptions import UnknownRound
from tuning_store.store import Store
from tuning_store.values import Progress
from tuning_study.api.parameters import values_of
from tuning_study.api.selection import Selection
from tuning_study.api.status import Diagnosis
from tuning_study.attributes import (
    ARTIFACTS_ATTRIBUTE,
    FAILURE_ATTRIBUTE,
    FILES_ATTRIBUTE,
    FINGERPRINT_ATTRIBUTE,
    FOLDER_ATTRIBUTE,
    KNOWN_ATTRIBUTE,
    METRICS_ATTRIBUTE,
    PREFIX,
    PREPARATION_ATTRIBUTE,
    START_ATTRIBUTE,
    TRACEBACK_ATTRIBUTE,
    VERSIONS_ATTRIBUTE,
)
from tuning_study.results.best import best, ranked
from tuning_study.results.candidates import Candidate, candidates
from tuning_study.results.describe import metric_value
from tuning_study.results.diagnosis import Evidence, diagnose
from tuning_study.results.feasibility import excess, is_feasible
from tuning_study.results.pareto import pareto_front
from tuning_study.results.selection import chosen_by, selectable_front
from tuning_study.results.verified import Measured, Verified, meets, verdict
from tuning_study.round import ResolvedRound, read_round, verification_name, with_selection
from tuning_study.verification import is_under_way

_ARTIFACTS = 3  # parts of the path of a trial's files from the store's folder: artifacts/NAME-r1/trial-7


@dataclass(frozen=True)
class Verification:
    """What became of the best trials when they were measured again."""

    progress: Progress
    verified: Verified


@dataclass(frozen=True)
class History:
    """A round with all its trials."""

    resolved: ResolvedRound
    progress: Progress
    trials: Sequence[FrozenTrial]
    workers: Mapping[int, str]  # by trial number
    failures: Sequence[tuple[str, int]]
    active: float  # seconds, without pauses
    folder: str | None
    """Where paths of the manifest count from; None for a study of a cluster."""
    versions: Mapping[str, str]
    """What the workers had installed; what the program that began the round had, where no worker has told."""
    interrupted: bool = False
    """It waits for a run on this machine that was ended from outside; see run_identity."""
    verification: Verification | None = None
    """None where none is asked for, or none has begun."""
    preparation: Sequence[str] = ()
    """What the workers make of a table's columns where the manifest does not say how, a line each."""
    known: Mapping[str, Any] = field(default_factory=dict)
    """What its first trials try because it is known to be good, as KNOWN_ATTRIBUTE has it; see tuning_report.known."""
    known_from: int = 0
    """The number of the first of these trials; those before it had points that the manifest or the last round gave."""
    goes_on: bool = False
    """It began with the best of the round before."""
    data: str | None = None
    """What tells its data from others, where its workers have told it."""
    files: Mapping[str, str] | None = None
    """Digests of the files that its objective is made of, by path; None for a study of a cluster."""
    home: Path | None = None
    """The folder of the store, where the files of trials are beside it."""

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
        """By its verified values, once they are known. With a selection the one that it chooses, or none where no trial
        is feasible."""
        if (verified := self.verified_best) is not None:
            return self.trial(verified.trial)
        if self._verified is not None and self._verified.none_is_feasible:
            return None
        found = best(self.resolved.spec.objectives, self._candidates, self.resolved.spec.selection)
        return self.trial(found.number) if found else None

    @property
    def chosen_by(self) -> str:
        """`Knee among 12`: how the best was chosen from a Pareto set; empty where there was nothing to choose."""
        spec = self.resolved.spec
        if spec.selection is None or self.best is None:
            return ""
        if self._verified is not None and self.verified_best is not None:
            return chosen_by(spec.selection, self._verified.among)
        return chosen_by(spec.selection, len(selectable_front(spec.objectives, self._candidates)))

    @property
    def nearest(self) -> FrozenTrial | None:
        """Where no trial is feasible: the complete one that is least outside the constraints."""
        constraints = self.resolved.spec.constraints
        return min(
            self.complete, key=lambda trial: (excess(constraints, metrics_of(trial, self)), trial.number), default=None
        )

    @property
    def _verified(self) -> Verified | None:
        """What verification came to; None before it is over."""
        if self.verification is None or self.verification.progress.stop_reason is None:
            return None
        return self.verification.verified

    @property
    def verified_best(self) -> Measured | None:
        """The candidate that verification names; None before it is over, and where none of its runs came to a value."""
        verified = self._verified
        return verified.candidates[verified.best] if verified is not None and verified.best is not None else None

    @property
    def verifying(self) -> bool:
        """Whether the search is over and its best trials are yet to be measured again, or are being."""
        ended = self.verification.progress.stop_reason if self.verification is not None else None
        return is_under_way(self.resolved.spec, self.progress.stop_reason, self.progress.counts, ended)

    @cached_property
    def front(self) -> list[FrozenTrial]:
        return [self.trial(entry.number) for entry in pareto_front(self.resolved.spec.objectives, self._candidates)]

    @cached_property
    def leaders(self) -> list[FrozenTrial]:
        """All complete trials, the best first."""
        spec = self.resolved.spec
        return [self.trial(entry.number) for entry in ranked(spec.objectives, self._candidates, spec.selection)]

    @cached_property
    def diagnosis(self) -> list[Diagnosis]:
        """What is wrong with the round, the gravest first."""
        return diagnose(
            Evidence(
                self.resolved.spec,
                self.trials,
                failures=self.failures,
                verified=self.verification.verified if self.verification is not None else None,
                active_seconds=self.active,
                over=self.progress.stop_reason is not None and not self.verifying,
            )
        )

    @cached_property
    def _candidates(self) -> list[Candidate]:
        return candidates(self.trials)

    def trial(self, number: int) -> FrozenTrial:
        return self.trials[number]


def read(store: Store, study: str, home: Path | None = None) -> History:
    """`home` is the folder that holds the store beside the files of its trials: wherever it was when they ran.

    Raises UnknownRound.
    """
    standings = store.readings.progress()
    standing = standings.get(study)
    if standing is None:
        raise UnknownRound(f"the store has no study {study}")
    verifying = verification_progress(standings, standing)
    loaded = store.load_study(study)
    workers = store.readings.workers(study)
    names = display_names(workers.values())
    resolved = read_round(loaded.user_attrs)
    begun = loaded.user_attrs.get(START_ATTRIBUTE) or {}
    return History(
        resolved=resolved,
        progress=replace(standing, counts_by_worker=by_display_name(standing.counts_by_worker)),
        trials=loaded.get_trials(deepcopy=False),
        workers={number: names[worker] for number, worker in workers.items()},
        failures=store.readings.failures(study),
        active=store.readings.active_seconds(study),
        folder=_folder(loaded.user_attrs.get(FOLDER_ATTRIBUTE), home),
        versions={**resolved.versions, **(loaded.user_attrs.get(VERSIONS_ATTRIBUTE) or {})},
        interrupted=is_interrupted(standing, loaded.user_attrs),
        verification=_verification(store, verifying, resolved) if verifying else None,
        preparation=loaded.user_attrs.get(PREPARATION_ATTRIBUTE) or (),
        known=loaded.user_attrs.get(KNOWN_ATTRIBUTE) or {},
        known_from=begun.get("points", 0),
        goes_on=begun.get("from") is not None,
        data=loaded.user_attrs.get(FINGERPRINT_ATTRIBUTE),
        files=loaded.user_attrs.get(FILES_ATTRIBUTE),
        home=home.absolute() if home is not None else None,
    )


def _folder(noted: str | None, home: Path | None) -> str | None:
    return os.path.normpath(home.absolute() / noted) if noted is not None and home is not None else noted


def best_values(
    store: Store, resolved: ResolvedRound, standing: Progress, verifying: Progress | None
) -> list[float] | None:
    """The objectives of a round's best trial, for a list of rounds: the means of its verification's runs, once that is
    over. `verifying` is how the verification stands, if there is one. Reads no trials but those."""
    spec = resolved.spec
    if verifying is not None and verifying.stop_reason is not None:
        verified = rounds.read_verification(store, verifying.study, spec.selection)
        if verified.best is not None:
            measured = verified.candidates[verified.best]
            return [measured.mean(index) for index in range(len(spec.objectives))]
        if verified.none_is_feasible:
            return None
    found = best(spec.objectives, store.readings.candidates(standing.study), spec.selection)
    return list(found.values) if found is not None else None


def verification_progress(standings: Mapping[str, Progress], standing: Progress) -> Progress | None:
    """How the verification of what the round has found by now stands."""
    return standings.get(verification_name(standing.study, standing.counts.used))


def choosing_by(history: History, selection: Selection) -> History:
    """The history as it would be if the study had this selection."""
    resolved, held = with_selection(history.resolved, selection), history.verification
    if held is not None:
        spec, found = resolved.spec, held.verified
        again = verdict(spec.objectives, spec.constraints, found.candidates, found.overlap, selection)
        held = replace(held, verified=again)
    return replace(history, resolved=resolved, verification=held)


def _verification(store: Store, standing: Progress, search: ResolvedRound) -> Verification:
    return Verification(standing, rounds.read_verification(store, standing.study, search.spec.selection))


def best_metrics(history: History) -> dict[str, float]:
    """Of the best trial: means of its verification's runs, where there are any."""
    if (verified := history.verified_best) is not None:
        return {name: verified.metrics[name] for name in history.metrics if name in verified.metrics}
    return metrics_of(history.best, history) if history.best is not None else {}


def best_is_feasible(history: History) -> bool:
    if (verified := history.verified_best) is not None:
        return meets(history.resolved.spec.constraints, verified)
    return history.best is not None and is_feasible(history.best)


def metrics_of(trial: FrozenTrial, history: History) -> dict[str, float]:
    """Every metric that the trial reported; the last report of a trial that was pruned."""
    objectives = [metric.name for metric in history.resolved.spec.objectives]
    given: Mapping[str, float] = trial.user_attrs.get(METRICS_ATTRIBUTE) or {}
    if not given and trial.values:
        given = dict(zip(objectives, trial.values, strict=False))
    if not given and trial.intermediate_values and len(objectives) == 1:
        given = {objectives[0]: trial.intermediate_values[max(trial.intermediate_values)]}
    return {name: float(given[name]) for name in history.metrics if name in given}


def parameters_of(trial: FrozenTrial, history: History) -> dict[str, Any]:
    """The trial's parameters with their values as the manifest has them: a list, where the store holds its text."""
    return values_of(history.resolved.spec.parameters, trial.params)


def attributes_of(trial: FrozenTrial) -> dict[str, Any]:
    """What the objective has set with `trial.set_user_attr`."""
    return {name: value for name, value in trial.user_attrs.items() if not name.startswith(PREFIX)}


def artifacts_of(trial: FrozenTrial, history: History) -> str | None:
    """The folder of files that the trial left, if it is among those whose files stay."""
    folder = trial.user_attrs.get(ARTIFACTS_ATTRIBUTE)
    if not folder:
        return None
    kept = history.leaders[: history.resolved.spec.workers.artifacts_kept]
    if all(trial.number != leader.number for leader in kept):
        return None
    return str(history.home.joinpath(*Path(folder).parts[-_ARTIFACTS:]) if history.home else folder)


def rows(history: History, trials: Sequence[FrozenTrial]) -> list[dict[str, Any]]:
    """Trials for scripts: plain values only."""
    return [
        {
            "trial": trial.number,
            "state": trial.state.name.capitalize() if trial.state is not TrialState.FAIL else "Failed",
            "worker": history.workers.get(trial.number),
            "seconds": round(trial.duration.total_seconds(), 3) if trial.duration is not None else None,
            "metrics": {name: metric_value(value) for name, value in metrics_of(trial, history).items()},
            "feasible": is_feasible(trial) if trial.state is TrialState.COMPLETE else None,
            "parameters": parameters_of(trial, history),
            "attributes": attributes_of(trial),
            "artifacts": artifacts_of(trial, history),
            "reason": reason_of(trial),
        }
        for trial in trials
    ]


def reason_of(trial: FrozenTrial) -> str | None:
    return str(trial.user_attrs[FAILURE_ATTRIBUTE]) if FAILURE_ATTRIBUTE in trial.user_attrs else None


def traceback_of(trial: FrozenTrial) -> str | None:
    """The last frames of the Python code in which the trial failed."""
    return str(trial.user_attrs[TRACEBACK_ATTRIBUTE]) if TRACEBACK_ATTRIBUTE in trial.user_attrs else None


def details(history: History, number: int) -> dict[str, Any]:
    """One trial with all that is known of it: its row, its reports by step, its traceback."""
    trial = history.trial(number)
    (row,) = rows(history, [trial])
    reports = {step: metric_value(value) for step, value in sorted(trial.intermediate_values.items())}
    return row | {"reports": reports, "traceback": traceback_of(trial)}


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
            "attributes": row["attributes"] or None,
            "reason": row["reason"],
        }
        for row in found
    ]
    silent = {key for key in ("attributes", "reason") if all(row[key] is None for row in listed)}
    return [{key: value for key, value in row.items() if key not in silent} for row in listed]
