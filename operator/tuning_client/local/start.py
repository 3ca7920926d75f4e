"""`tuning run` and `tuning.tune`: a session on this machine, and one run of the study in it.

Imports little before the session, which takes as long to make a store as everything else to import.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from tuning_client.display import Display
from tuning_client.local import database
from tuning_client.local.database import Database
from tuning_client.local.session import session
from tuning_client.studyfile import StudyFile
from tuning_study.api.duration import format_duration

if TYPE_CHECKING:
    from tuning_client.local.run import Outcome
    from tuning_report.round_history import History


def start(
    study: StudyFile,
    *,
    display: Display,
    workers: int | None,
    storage: str | None,
    fresh: bool = False,
    folder: Path = database.FOLDER,
) -> "tuple[Outcome, History]":
    """Run the study, and read how it went. `fresh` begins a new round."""
    number = workers or study.spec.workers.replicas
    with session(study.name, storage, folder) as here:
        display.note(start_line(study, number, here.database))
        with display:
            from tuning_client.local.execution import run

            outcome = run(study, here, display, number, fresh=fresh)
        from tuning_report import round_history

        return outcome, round_history.read(here.store, outcome.study, here.home)


def start_line(study: StudyFile, workers: int, found: Database) -> str:
    budget = study.spec.budget
    limits = [f"{budget.trials} trials"] if budget.trials else []
    limits += [format_duration(budget.duration)] if budget.duration else []
    noun = "worker" if workers == 1 else "workers"
    return f"{study.name}: {' or '.join(limits)} on {workers} {noun}, {found.kind}"
