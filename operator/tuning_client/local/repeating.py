"""Runs the repetition of a round, or of one of its trials, on this machine: in a store and files of its own, which are
gone afterwards. Called by reproducing."""

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna

from tuning_client.display import Display
from tuning_client.exceptions import TuningError
from tuning_client.local.execution import plain_env
from tuning_client.local.folder import code_folder, files_of, write_round
from tuning_client.local.run import GRACE, Ending, LocalRun
from tuning_client.local.session import Session, session
from tuning_client.local.supervisor import Supervisor, cores, environment, threads_each, worker_names
from tuning_client.reproduction import Repetition
from tuning_report import round_history
from tuning_report.round_history import History
from tuning_report.run_identity import RunIdentity
from tuning_store import rounds
from tuning_store.store import Store
from tuning_store.values import Owner
from tuning_study.attributes import KNOWN_ATTRIBUTE
from tuning_study.budget import StopReason
from tuning_study.round import spec_digest

_OWNER = Owner("reproduction")


def repeat(
    wanted: Repetition, *, folder: Path, code: Mapping[str, bytes], workers_before: int, display: Display
) -> History:
    """The repetition, once it is over, by one worker. The manifest's paths count from `folder`; `code` are the files of
    its ConfigMap.

    The numeric libraries get as many threads as each of `workers_before` had on this machine: sums depend on it.
    Raises TuningError where it cannot run, and KeyboardInterrupt when it was stopped.
    """
    with (
        TemporaryDirectory(prefix="tuning-reproduce-") as place,
        session(wanted.resolved.name, None, Path(place).resolve()) as here,
    ):
        _prepare(here.store, wanted)
        with display:
            _run(wanted, here, folder.resolve(), code, threads_each(cores(), max(1, workers_before)), display)
        return round_history.read(here.store, wanted.resolved.study)


def _prepare(store: Store, wanted: Repetition) -> None:
    resolved = wanted.resolved
    study = optuna.create_study(
        storage=store.storage,
        study_name=resolved.study,
        directions=[
            "maximize" if metric.direction == "Maximize" else "minimize" for metric in resolved.spec.objectives
        ],
    )
    study.add_trials(wanted.before)
    digest, budget = spec_digest(resolved.spec), resolved.spec.budget
    rounds.start(store, resolved, digest=digest, budget=budget, owner=_OWNER, points=wanted.points)
    study.set_user_attr(KNOWN_ATTRIBUTE, {"suggestions": [{"point": point} for point in wanted.known]})


def _run(
    wanted: Repetition, here: Session, folder: Path, code: Mapping[str, bytes], threads: int, display: Display
) -> None:
    resolved, identity = wanted.resolved, RunIdentity.of_this_process()
    supervisor = Supervisor(
        {name: identity.worker(name) for name in worker_names(1)},
        environment(
            os.environ | plain_env(resolved.spec) | code_folder(here.folder, code, resolved),
            round_file=write_round(here.folder, resolved),
            store_url=here.database.url,
            search=folder,
            folder=here.folder,
            threads=threads,
            grace=GRACE,
        ),
        here.folder / "logs",
        files_of(resolved),
        cwd=folder,
    )
    outcome = LocalRun(resolved, here.store, supervisor, display, here.signals, here.database.trouble).until_over()
    if outcome.ending is Ending.STOPPED:
        raise KeyboardInterrupt
    if outcome.ending is Ending.WORKERS_CRASHED:
        told = "\n".join(f"  {line}" for line in outcome.log)
        raise TuningError(f"the worker crashes again and again, without finishing a trial:\n{told}")
    standing = here.store.readings.progress()[resolved.study]
    if standing.stop_reason is StopReason.REJECTED:
        raise TuningError(
            f"the objective cannot run here: {standing.detail}. Its code, data and packages must be on this machine; "
            "--folder says what the manifest's paths and modules count from"
        )
