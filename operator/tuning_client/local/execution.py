"""Runs a study in an open session: its round in the store, its files in the folder, its workers. Called by start, and
for studies side by side by comparing and repeating."""

import os
from collections.abc import Callable

from tuning_client.display import Display
from tuning_client.exceptions import WrongUse
from tuning_client.local import files, stages
from tuning_client.local.folder import code_folder, files_of, remove_checkpoints, write_round
from tuning_client.local.round_choice import Begin, EarlierRound, GoOn, choose_round
from tuning_client.local.run import GRACE, Ending, LocalRun, Outcome
from tuning_client.local.session import Session
from tuning_client.local.studies import LOCAL, rounds_of
from tuning_client.local.supervisor import (
    Supervisor,
    cores,
    environment,
    threads_each,
    worker_names,
)
from tuning_client.studyfile import StudyFile
from tuning_report.run_identity import RunIdentity
from tuning_store import rounds
from tuning_store.earlier_studies import begin_with
from tuning_store.exceptions import UnknownEarlierStudy
from tuning_store.store import Store
from tuning_store.values import Owner
from tuning_store.versions import installed_versions
from tuning_study.api.budget import Budget
from tuning_study.api.spec import TuningStudySpec
from tuning_study.attributes import FILES_ATTRIBUTE, FOLDER_ATTRIBUTE, FORGIVEN_ATTRIBUTE, RUN_ATTRIBUTE
from tuning_study.results.best import best_parameters
from tuning_study.round import ResolvedRound, resolve, spec_digest
from tuning_study.search.warm_start import starting_points


def run(
    study: StudyFile, here: Session, display: Display, workers: int, *, fresh: bool = False, one_seed: bool = False
) -> Outcome:
    """Start or go on with the study, until its round is over or somebody stops it. With `one_seed` each of its rounds
    has the manifest's own seed."""
    store, folder = here.store, here.folder
    place = study.path.resolve().parent
    noted = os.path.relpath(place, here.home.resolve()) if here.home is not None else str(place)
    resolved = prepare_round(store, study, display.note, noted, fresh=fresh, one_seed=one_seed)
    standing = stages.read(store, resolved)
    if standing.over:
        return Outcome(Ending.OVER, resolved.study)
    identity = RunIdentity.of_this_process()
    for each in standing.all:
        store.rounds.set_paused(each.study, False)
        release_trials_of_dead_runs(store, each.study, store.rounds.find(each.study), identity)
    supervisor = Supervisor(
        {name: identity.worker(name) for name in worker_names(workers)},
        environment(
            os.environ | plain_env(study.spec) | code_folder(folder, study.code, resolved),
            round_file=write_round(folder, resolved),
            store_url=here.database.url,
            search=place,
            folder=folder.resolve(),
            threads=threads_each(cores(), workers),
            grace=GRACE,
        ),
        folder.resolve() / "logs",
        files_of(resolved),
        cwd=place,
    )
    outcome = LocalRun(resolved, store, supervisor, display, here.signals, here.database.trouble).until_over()
    if outcome.ending is Ending.OVER:  # no trial goes on any more, nor those whose worker was killed
        remove_checkpoints(folder, resolved)
    return outcome


def prepare_round(
    store: Store,
    study: StudyFile,
    note: Callable[[str], object],
    place: str,
    *,
    fresh: bool = False,
    one_seed: bool = False,
) -> ResolvedRound:
    """The round in the store that this run goes on with or begins, with the budget that the file asks for now.

    `place` is what the round's FOLDER_ATTRIBUTE is to say.
    """
    now = files.digests(study)
    choice = choose_round(study.spec, now, rounds_of(store, study.name), fresh=fresh)
    if choice.note:
        note(choice.note)
    match choice:
        case GoOn(earlier, forgive):
            resolved = earlier.resolved.model_copy(update={"spec": study.spec})
            if forgive:
                store.load_study(earlier.study).set_user_attr(FORGIVEN_ATTRIBUTE, earlier.counts.failed)
        case Begin(number, warm_from):
            resolved = _resolved(study, 1 if one_seed else number).model_copy(update={"number": number})
            _begin(store, resolved, warm_from, note)
    optuna_study = store.load_study(resolved.study)
    noted = {
        FILES_ATTRIBUTE: now,
        FOLDER_ATTRIBUTE: place,
        RUN_ATTRIBUTE: RunIdentity.of_this_process().worker("run"),
    }
    for key, value in noted.items():
        if optuna_study.user_attrs.get(key) != value:
            optuna_study.set_user_attr(key, value)
    store.rounds.set_budget(resolved.study, _budget(study.spec, optuna_study.user_attrs.get(FORGIVEN_ATTRIBUTE, 0)))
    rounds.set_selection(store, resolved.study, study.spec.selection)
    # What could not run may run now: a package installed, a function corrected. Only a new try can tell.
    store.rounds.reopen(resolved.study)
    return resolved


def _resolved(study: StudyFile, number: int) -> ResolvedRound:
    versions = installed_versions()
    return resolve(study.spec, namespace=LOCAL, name=study.name, uid="", number=number, versions=versions)


def _begin(
    store: Store, resolved: ResolvedRound, warm_from: EarlierRound | None, note: Callable[[str], object]
) -> None:
    spec = resolved.spec
    try:
        points, changes = begin_with(store, resolved)
    except UnknownEarlierStudy as unknown:
        raise WrongUse(str(unknown)) from unknown
    for change in changes:
        note(f"warmStart.points: {change}")
    if warm_from is not None:
        trials = store.load_study(warm_from.study).get_trials(deepcopy=False)
        best = best_parameters(spec, trials, spec.retune.warm_start.best)
        points += starting_points(spec.parameters, best)[0]
    rounds.start(
        store,
        resolved,
        digest=spec_digest(spec),
        budget=spec.budget,
        owner=Owner(LOCAL),
        points=points,
        warm_from=warm_from.study if warm_from is not None else None,
    )


def _budget(spec: TuningStudySpec, forgiven: int) -> Budget:
    return spec.budget.model_copy(update={"failed_trials": spec.budget.failed_trials + forgiven})


def release_trials_of_dead_runs(store: Store, study: str, study_id: int, identity: RunIdentity) -> None:
    """What was running here when this machine or its run ended waits again at once; other machines' after a silence."""
    workers = {trial.worker for trial in store.readings.running(study)}
    for worker in sorted(filter(identity.knows_dead, workers)):
        store.claims.release(study_id, worker, killed=True)


def plain_env(spec: TuningStudySpec) -> dict[str, str]:
    """The entries of workers.env that mean something without a cluster."""
    return {str(entry["name"]): str(entry["value"]) for entry in spec.workers.env if {"name", "value"} <= set(entry)}
