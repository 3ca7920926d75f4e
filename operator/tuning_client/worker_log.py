"""A worker's log as a person reads it: its JSON lines as sentences, all else as it stands. Pure."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tuning_study.round import is_search
from tuning_study.worker_contract import TRIAL_BEGINS

_NOT_TOLD = ("level", "timestamp", "worker", "study")


def readable_lines(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield from (told for told in _readable(line).splitlines() if told.strip())


def lines_of_trial(lines: Iterable[str], number: int) -> Iterator[str]:
    """What was written while the worker ran the trial, its attempts one after the other; not the runs of a
    verification, which have numbers of their own."""
    inside = False
    for line in lines:
        entry = _entry(line)
        if entry is not None and entry["event"] == TRIAL_BEGINS:
            inside = entry.get("trial") == number and is_search(str(entry.get("study", "")))
            continue
        if inside:
            yield line


def _readable(line: str) -> str:
    entry = _entry(line)
    if entry is None:
        return line
    event, trace = entry.pop("event"), entry.pop("exception", "")
    details = " ".join(f"{key}={value}" for key, value in entry.items() if key not in _NOT_TOLD)
    return "\n".join(filter(None, [f"{event} {details}".strip(), str(trace)]))


def _entry(line: str) -> dict[str, Any] | None:
    """The worker's own line; None for what an objective has printed."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "event" in entry else None
