"""Failures that are one: their reasons differ in numbers, addresses or names of temporary files alone.

Read by reports and by the operator's status, where each would otherwise have a line of its own. Pure.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_VARYING = re.compile(
    r"""
    0x[0-9a-f]+                                             # an address
    | \b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b       # a UUID
    | \b(?=[a-f]*[0-9])[0-9a-f]{8,}\b                       # a digest
    | (?<=/tmp/)[^\s/'"]+                                   # a temporary file
    | [+-]?[0-9][0-9.,e+-]*(?:\s?(?:[kMGTP]i?B|bytes?)\b)?       # a number, or a size
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PLACE = re.compile(r"\s\([^()\s]+:\d+\)$")  # of the code: another line is another failure


@dataclass(frozen=True)
class FailureGroup:
    """`reason` is the most frequent of `reasons`; `count` is how many trials failed for any of them."""

    reason: str
    count: int
    reasons: tuple[str, ...]


def alike(reason: str) -> str:
    """What is the same of reasons that are one."""
    place = found.group() if (found := _PLACE.search(reason)) else ""
    return _VARYING.sub("#", reason.removesuffix(place)) + place


def grouped(failures: Iterable[tuple[str, int]]) -> list[FailureGroup]:
    """The most frequent group first; `failures` are reasons with their numbers, the most frequent first."""
    groups: dict[str, list[tuple[str, int]]] = {}
    for reason, count in failures:
        groups.setdefault(alike(reason), []).append((reason, count))
    found = [
        FailureGroup(members[0][0], sum(count for _, count in members), tuple(reason for reason, _ in members))
        for members in groups.values()
    ]
    return sorted(found, key=lambda group: -group.count)
