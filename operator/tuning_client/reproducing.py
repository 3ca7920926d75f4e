"""Repeats a round of any store on this machine, or one of its trials, and compares. Called by `tuning reproduce`."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

from tuning_client import histories, reproduction
from tuning_client.display import Display
from tuning_client.exceptions import WrongUse
from tuning_client.local import files
from tuning_client.local.folder import files_of
from tuning_client.local.repeating import repeat
from tuning_client.reproduction import Comparison
from tuning_client.studyfile import StudyFile
from tuning_client.target import Target
from tuning_report.round_history import History


def reproduce(
    target: Target,
    name: str,
    number: int | None,
    *,
    trial: str,
    whole: bool,
    folder: Path | None,
    display: Display,
) -> Comparison:
    """Of the round of that number, by default the newest. Raises WrongUse, ClusterError and TuningError."""
    history = histories.read_any_round(target, name, number)
    wanted = reproduction.of_round(history) if whole else reproduction.of_trial(history, trial)
    place = _folder(history, folder)
    code = _code(target, history)
    changed = _changed_files(history, code, place)
    display.note(_start_line(history.resolved.name, whole, wanted.trials, place))
    workers = len(set(history.workers.values()))
    again = repeat(wanted, folder=place, code=code, workers_before=workers, display=display)
    return reproduction.compare(history, again, wanted.trials, whole=whole, changed_files=changed)


def _start_line(name: str, whole: bool, trials: Sequence[int], place: Path) -> str:
    what = f"{len(trials)} trials" if whole else f"trial {trials[0]}"
    return f"{name}: {what} again, by 1 worker in {place}"


def _folder(history: History, given: Path | None) -> Path:
    """What the manifest's paths and modules count from."""
    if given is not None:
        if not given.is_dir():
            raise WrongUse(f"--folder: there is no folder {given}")
        return given
    if history.folder is None:  # of a cluster
        return Path.cwd()
    if not Path(history.folder).is_dir():
        raise WrongUse(
            f"{history.folder}, which the manifest's paths count from, is gone: say where it is with --folder"
        )
    return Path(history.folder)


def _code(target: Target, history: History) -> Mapping[str, bytes]:
    """The files of the ConfigMap that a python objective names, as they are now."""
    python = history.resolved.spec.objective.python
    if python is None or python.config_map is None:
        return {}
    if not target.on_cluster:
        kept = target.folder / "code" / files_of(history.resolved)
        return {file.name: file.read_bytes() for file in kept.iterdir()} if kept.is_dir() else {}
    from tuning_client.cluster import client

    found = client.connect(target.context, target.namespace).config_map(python.config_map)
    texts = {name: text.encode() for name, text in (found.get("data") or {}).items()}
    return texts | {name: base64.b64decode(text) for name, text in (found.get("binaryData") or {}).items()}


def _changed_files(history: History, code: Mapping[str, bytes], place: Path) -> list[str]:
    """Of the objective, since the round ran on this machine."""
    if history.files is None:
        return []
    study = StudyFile(place / "manifest.yaml", history.resolved.name, history.resolved.spec, code)
    return files.changed(history.files, files.digests(study))
