"""What a study's workers have written, from the files of this folder or from a cluster's pods."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from tuning_client.exceptions import WrongUse
from tuning_client.histories import newest_round
from tuning_client.local.folder import files_of
from tuning_client.target import Target
from tuning_client.worker_log import lines_of_trial, readable_lines
from tuning_study.round import ResolvedRound


def read(target: Target, name: str | None, trial: int | None) -> Iterator[tuple[str, Iterator[str]]]:
    """Each worker's name and lines, of one trial or of all. Raises WrongUse where nothing was written."""
    told = False
    for worker, lines in _sources(target, name):
        own = list(readable_lines(lines_of_trial(lines, trial) if trial is not None else lines))
        told = told or bool(own)
        yield worker, iter(own)
    if not told:
        what = f"trial {trial}" if trial is not None else "its workers"
        raise WrongUse(f"there is no output of {what}: look at `tuning trials`, or wait until a worker has begun")


def lines_of(folder: Path, resolved: ResolvedRound, trial: int) -> list[str]:
    """What a trial of a run of this machine has written. Raises LookupError without any."""
    told = [line for _, lines in _files(folder, resolved) for line in readable_lines(lines_of_trial(lines, trial))]
    if not told:
        raise LookupError("It has written nothing, or its worker's log is gone.")
    return told


def _sources(target: Target, name: str | None) -> Iterator[tuple[str, Iterable[str]]]:
    if target.on_cluster:
        from tuning_client.cluster import client

        if name is None:
            raise WrongUse("give the study's name; `tuning status` lists them")
        connection = client.connect(target.context, target.namespace)
        connection.study(name)
        yield from connection.worker_logs(name)
        return
    yield from _files(target.folder, newest_round(target, name))


def _files(folder: Path, resolved: ResolvedRound) -> Iterator[tuple[str, Iterable[str]]]:
    begin = files_of(resolved)
    for path in sorted((folder / "logs").glob(f"{begin}-worker-*.log")):
        with path.open(errors="replace") as file:
            yield path.stem.removeprefix(f"{begin}-"), (line.rstrip("\n") for line in file)
