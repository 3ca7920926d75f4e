"""`tuning compare`: the runs of a comparison on this machine, one after another, each an ordinary study."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tuning_client.display import Display
from tuning_client.exceptions import TuningError, WrongUse
from tuning_client.local import database
from tuning_client.local.execution import run
from tuning_client.local.run import Ending, Outcome
from tuning_client.local.session import Session, session
from tuning_client.studyfile import StudyFile
from tuning_client.variants import Variant
from tuning_report import round_history, text
from tuning_report.round_history import History


@dataclass(frozen=True)
class Compared:
    """The runs that are over, by seed and in the order of the variants. Only seeds with a run of every variant."""

    histories: Sequence[Sequence[History]]
    signal: int | None = None
    """What ended the comparison before all its seeds were done."""


def compare(
    study: StudyFile,
    variants: Sequence[Variant],
    *,
    repeats: int,
    workers: int,
    storage: str | None,
    display: Display,
    prunes: bool,
    folder: Path = database.FOLDER,
) -> Compared:
    """Run what is missing. Ctrl-C stops, and a later call goes on. Raises TuningError for a run that failed: what is
    left would be no comparison; and WrongUse where it `prunes`, and the objective gives pruners nothing to judge."""
    done: list[list[History]] = []
    with session(f"{study.name}-compare", storage, folder) as here, display:
        for repeat in range(1, repeats + 1):
            found: dict[str, History] = {}
            for place in range(len(variants)):
                variant = variants[(place + repeat - 1) % len(variants)]  # no variant always has the machine first
                one = variant.run(study, repeat)
                number = (repeat - 1) * len(variants) + place + 1
                display.note(f"run {number} of {repeats * len(variants)}: {variant.label}, seed {repeat} ({one.name})")
                outcome = _run(one, here, display, workers)
                if outcome.ending is Ending.STOPPED or here.signals.stop:
                    return Compared(done, signal=here.signals.received[0])
                found[variant.label] = _finished(here, outcome, one.name)
                if prunes and not any(trial.intermediate_values for trial in found[variant.label].trials):
                    raise WrongUse(NOTHING_TO_JUDGE.format(name=one.name))
            done.append([found[variant.label] for variant in variants])
    return Compared(done)


NOTHING_TO_JUDGE = (
    "no trial of {name} has reported an intermediate value, so a pruner has nothing to judge: report one with a step, "
    "by `trial.report(value, step)`, `step` in a command's metrics, or two folds and more of sklearn"
)


def _run(one: StudyFile, here: Session, display: Display, workers: int) -> Outcome:
    with database.only_run(here.folder / f"{one.name}.lock", one.name):
        return run(one, here, display, workers, one_seed=True)


def _finished(here: Session, outcome: Outcome, name: str) -> History:
    if outcome.ending is Ending.WORKERS_CRASHED:
        told = "\n".join(f"  {line}" for line in outcome.log)
        raise TuningError(f"{name}: the workers crash again and again, without finishing a trial:\n{told}")
    history = round_history.read(here.store, outcome.study, here.home)
    if (failure := text.failure(history)) is not None:
        raise TuningError(f"{name}: {failure}")
    return history
