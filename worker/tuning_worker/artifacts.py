"""The folders that trials leave files in, such as models: one each, and those of the best trials stay.

Called by `run_trial` when a trial has ended. Workers that share the folder may all do so at once: each removes only
folders of trials that have ended.
"""

from collections.abc import Sequence
from pathlib import Path

from tuning_study.api.spec import TuningStudySpec
from tuning_study.results.best import ranked
from tuning_study.results.candidates import Candidate
from tuning_study.round import ResolvedRound
from tuning_worker import folders

_PREFIX = "trial-"


def folder_of(root: Path, round: ResolvedRound, trial: int) -> Path:
    """Readable by people: NAME-r1/trial-7, with a part of the uid where a name may have several lives."""
    parts = [round.name, *([round.uid[:8]] if round.uid else []), round.folder]
    return root / "-".join(parts) / f"{_PREFIX}{trial}"


def holds_any(folder: Path) -> bool:
    return bool(folders.names_in(folder))


def keep_best(folder: Path, spec: TuningStudySpec, complete: Sequence[Candidate]) -> None:
    """Remove what `complete` trials left beside `folder`, but for the best `workers.artifactsKept`; of several
    objectives the front first."""
    kept = ranked(spec.objectives, complete, spec.selection)[: spec.workers.artifacts_kept]
    best = {entry.number for entry in kept}
    for other in {entry.number for entry in complete} - best:
        folders.remove(folder.parent / f"{_PREFIX}{other}")
