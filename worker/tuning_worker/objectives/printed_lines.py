"""Reads metrics out of the lines that a process prints. Nothing here does I/O.

A metric is read by its own pattern; without one as `name=value` anywhere on the line, or as a JSON object's field.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tuning_study.api.metrics import Metric
from tuning_study.api.patterns import STEP, VALUE, compile_pattern

Reports = dict[int | None, dict[str, float]]
"""Values of metrics by the step that they were reported in; None for those without one."""

MAX_STEP = 2**31 - 1  # in the store
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|[-+]?inf(?:inity)?"
_STEPS = ("step", "global_step", "iteration", "iter", "epoch")  # the first that the line has is meant
_ENDS = r"(?=[\s;|)\]}'\"]|,(?!\d)|$)"  # of a value: 0,9 and 90% are none
_AROUND = " \t,;:|()[]{}'\"%"  # what `\S+` takes besides the number


class PrintedLines:
    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._patterns = {metric.name: compile_pattern(metric.pattern) for metric in metrics if metric.pattern}
        self._plain = frozenset(metric.name for metric in metrics) - self._patterns.keys()
        self._pairs = _pairs(self._plain)
        self._steps = {name: _step_named(name) for name in _STEPS if name not in self._plain}

    def read(self, line: str) -> Reports:
        """What the line reports. Of a metric that is there twice the last counts."""
        reports: Reports = {}
        for name, step, value in [*self._by_pattern(line), *self._plainly(line)]:
            reports.setdefault(step, {})[name] = value
        return reports

    def step(self, line: str) -> re.Match[str] | None:
        """Where the line names its step, with the number as group `step`."""
        return next((found for pattern in self._steps.values() if (found := pattern.search(line))), None)

    def not_a_number(self, name: str, line: str) -> str | None:
        """What the metric's pattern found on the line, if that is no number."""
        found = [match[VALUE] or "" for match in self._patterns[name].finditer(line)] if name in self._patterns else []
        return next((text for text in found if _number(text) is None), None)

    def _by_pattern(self, line: str) -> Iterator[tuple[str, int | None, float]]:
        for name, pattern in self._patterns.items():
            for match in pattern.finditer(line):
                value = _number(match[VALUE] or "")
                if value is not None:
                    yield name, _whole(match[STEP]) if STEP in pattern.groupindex else None, value

    def _plainly(self, line: str) -> Iterable[tuple[str, int | None, float]]:
        if not self._plain:
            return []
        if (document := _json_object(line)) is not None:
            step = next((_whole(document[name]) for name in self._steps if name in document), None)
            return [(name, step, value) for name, value in _numbers_of(document, self._plain)]
        if "=" not in line or not (pairs := self._pairs.findall(line)):
            return []
        named = self.step(line)
        step = _whole(named[STEP]) if named else None
        return [(name, step, float(value)) for name, value in pairs]


def _pairs(names: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile(
        rf"(?<![\w./@-])({'|'.join(map(re.escape, longest_first))})\s*=\s*((?i:{NUMBER})){_ENDS}", re.ASCII
    )


def _step_named(name: str) -> re.Pattern[str]:
    """`step=3`, `step 3`, `epoch: 3/10`, `Epoch [3]`, `'epoch': 3.0`."""
    return re.compile(
        rf"(?<![\w./-]){name}[\"']?\s*[:=#]?\s*\[?\s*(?P<{STEP}>\d+)(?:\.0+)?(?![\w.]|,\d)", re.ASCII | re.IGNORECASE
    )


def _json_object(line: str) -> Mapping[str, Any] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _numbers_of(document: Mapping[str, Any], names: frozenset[str]) -> Iterator[tuple[str, float]]:
    for name in names & document.keys():
        try:
            yield name, float(document[name])
        except (ValueError, TypeError, OverflowError):
            continue


def _number(text: str) -> float | None:
    try:
        return float(text.strip(_AROUND))
    except ValueError:
        return None


def _whole(given: Any) -> int | None:
    try:
        step = int(float(given))
    except (ValueError, TypeError, OverflowError):
        return None
    return step if 0 <= step <= MAX_STEP else None
