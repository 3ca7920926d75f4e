"""Gathers what a process reports of its metrics, in its metrics file and in what it prints. Nothing here does I/O."""

import json
import math
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tuning_study.api.metrics import Metric
from tuning_worker.objectives.near_misses import NearMisses
from tuning_worker.objectives.printed_lines import MAX_STEP, PrintedLines

Document = dict[str, Any]
Report = tuple[int, dict[str, float]]
"""An intermediate report: its step, and the values of metrics."""

_BLANK = re.compile(r"[\s\ufeff\x00]*")
_DECODER = json.JSONDecoder()
_QUOTED = 200  # characters of a line that are quoted
_BEHIND = 4096  # characters that are let go together
_KEPT = 5  # problems of the metrics file
_DENSE = 1000  # reports of a metric that are all passed on


@dataclass
class Series:
    """What one source, the file or the output, has reported of one metric."""

    final: float | None = None
    """The last value that came without a step."""
    intermediate: float | None = None
    """The last value that came with one."""
    smallest: float = math.nan
    largest: float = math.nan

    def add(self, step: int | None, value: float) -> None:
        if step is None:
            self.final = value
        else:
            self.intermediate = value
        self.smallest = _better(min, self.smallest, value)
        self.largest = _better(max, self.largest, value)


class MetricsReport:
    """What a process has reported so far: what its trial counts with, and intermediate reports by step.

    `read_printed` may be called by a thread of its own; all else by the trial's.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._reduce = {metric.name: metric.reduce or "Last" for metric in metrics}
        self._names = frozenset(self._reduce)
        self._lines = PrintedLines(metrics)
        self._near = NearMisses(metrics, self._lines)
        self._printed: dict[str, Series] = {}
        self._written: dict[str, Series] = {}
        self._unread: deque[Report] = deque()
        self._overwritten: Report | None = None
        self._steps: dict[str, set[int]] = {}
        self.misread: deque[str] = deque(maxlen=_KEPT)

    @property
    def final(self) -> dict[str, float]:
        """What the trial counts with, of each metric that was reported."""
        found = {name: self._reduced(name, reduce) for name, reduce in self._reduce.items()}
        return {name: value for name, value in found.items() if value is not None}

    def _reduced(self, name: str, reduce: str) -> float | None:
        """What is in the file counts more than what was printed, as it was meant for us; most, what has no step."""
        sources = [source[name] for source in (self._written, self._printed) if name in source]
        if reduce == "Last":
            values = [series.final for series in sources] + [series.intermediate for series in sources]
        else:
            values = [series.smallest if reduce == "Min" else series.largest for series in sources]
        return next((value for value in values if value is not None), None)

    def read_file(self, entries: Sequence[Document | str]) -> list[Report]:
        """Take in objects of the metrics file, and lines that are none; new intermediate reports are returned."""
        reports = []
        for entry in entries:
            if isinstance(entry, str):
                example = json.dumps(dict.fromkeys(sorted(self._names), 0.9))
                self._misread(f"{entry.strip()[:_QUOTED]!r} is no JSON object: write one a line, as {example}")
            elif (found := self._read(entry)) is not None:
                reports.append(found)
        return self._new(reports)

    def read_whole_file(self, entries: Sequence[Document | str]) -> list[Report]:
        """As read_file, for the file as it is at the end: what was misread while it was being written is forgotten."""
        self.misread.clear()
        return self.read_file(entries)

    def read_printed(self, line: str, stays: bool = True) -> None:
        """Take in one line of output. One that does not stay is overwritten by the next, as progress bars are."""
        for step, values in self._lines.read(line).items():
            for name, value in values.items():
                self._printed.setdefault(name, Series()).add(step, value)
            if step is not None:
                self._hold(step, values, stays)
        if missing := self._names - self._printed.keys():
            self._near.look_at_line(line, missing)

    def _hold(self, step: int, values: dict[str, float], stays: bool) -> None:
        """Of a step whose line is overwritten again and again the last values count: they wait for the next step."""
        if self._overwritten is not None:
            if self._overwritten[0] == step:
                values = self._overwritten[1] | values
            else:
                self._unread.append(self._overwritten)
            self._overwritten = None
        if stays:
            self._unread.append((step, values))
        else:
            self._overwritten = (step, values)

    def new_printed(self, *, ended: bool = False) -> list[Report]:
        """The intermediate reports that were printed since the last call; of a process that has `ended` all."""
        if ended and self._overwritten is not None:
            self._unread.append(self._overwritten)
            self._overwritten = None
        return self._new([self._unread.popleft() for _ in range(len(self._unread))])

    def hints(self, missing: Sequence[str]) -> list[str]:
        """For metrics that were not reported: what came near, and what to write instead."""
        near = [hint for name in missing if (hint := self._near.hint(name)) is not None]
        return [*near, *(f"in $TUNING_METRICS_FILE {problem}" for problem in self.misread)]

    def _read(self, document: Document) -> Report | None:
        try:
            step = _step(document.get("step"))
        except (ValueError, TypeError, OverflowError):
            self._misread(f"step is {_quoted(document['step'])}, not a whole number from 0")
            return None
        values = self._numbers(document)
        for name, value in values.items():
            self._written.setdefault(name, Series()).add(step, value)
        self._near.look_at_document(document, self._names - document.keys())
        return (step, values) if step is not None else None

    def _new(self, reports: Sequence[Report]) -> list[Report]:
        """Those of them that are to be passed on: each metric once a step, and of very many steps not all."""
        found = [(step, {n: value for n, value in values.items() if self._is_new(n, step)}) for step, values in reports]
        return [(step, values) for step, values in found if values]

    def _is_new(self, name: str, step: int) -> bool:
        seen = self._steps.setdefault(name, set())
        if step in seen:
            return False
        seen.add(step)
        return _passed_on(len(seen) - 1)

    def _numbers(self, document: Document) -> dict[str, float]:
        """The metrics of the object; what is null or no number is left out, and the rest of the line counts."""
        numbers = {}
        for name in self._names & document.keys():
            try:
                numbers[name] = float(document[name])
            except (ValueError, TypeError, OverflowError):
                self._misread(f"{name} is {_quoted(document[name])}, not a number")
        return numbers

    def _misread(self, problem: str) -> None:
        if problem not in self.misread:
            self.misread.append(problem)


def _passed_on(index: int) -> bool:
    """Whether the store gets the report: the first thousand, every tenth to ten thousand, and so on.

    Which ones is told by their count alone, so that trials have theirs in common and pruners can compare them.
    """
    every = 1
    while index >= _DENSE * every:
        every *= 10
    return index % every == 0


def _better(choose: Any, known: float, value: float) -> float:
    """NaN is worse than any number."""
    return value if math.isnan(known) else known if math.isnan(value) else choose(known, value)


def split_documents(text: str, *, ended: bool) -> tuple[list[Document | str], str]:
    """The JSON objects in `text`, over as many lines as they are; lines that are none; the rest that may become one.

    The rest is what ends between two lines of an object. It may be completed unless the writer has `ended`.
    """
    found: list[Document | str] = []
    at = _after_blanks(text, 0)
    while at < len(text):
        if at > _BEHIND:
            text, at = text[at:], 0  # an error of the decoder counts the lines before it: many errors, many lines
        try:
            value, end = _DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            if not ended and _after_blanks(text, error.pos) == len(text):
                return found, text[at:]
            value, end = None, at
        except (ValueError, RecursionError):  # a number of thousands of digits; brackets without end
            value, end = None, at
        if isinstance(value, dict):
            found.append(value)
        else:
            newline = text.find("\n", at)
            end = len(text) if newline < 0 else newline
            found.append(text[at:end])
        at = _after_blanks(text, end)
    return found, ""


def _after_blanks(text: str, at: int) -> int:
    blanks = _BLANK.match(text, at)
    assert blanks is not None  # it may be empty
    return blanks.end()


def _step(given: Any) -> int | None:
    if given is None:
        return None
    step = int(given)
    if isinstance(given, bool) or (isinstance(given, float) and step != given):
        raise ValueError("a step counts")
    if not 0 <= step <= MAX_STEP:
        raise OverflowError("a step beyond what the store holds")
    return step


def _quoted(value: object) -> str:
    return json.dumps(value)[:_QUOTED]
