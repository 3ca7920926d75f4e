"""Reads metrics out of what a process wrote into its metrics file and what it printed. Nothing here does I/O."""

import json
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tuning_worker import hints

Document = dict[str, Any]

_LINE = re.compile(r"^\s*([A-Za-z_][A-Za-z0-9_./-]*)\s*=\s*(\S+)\s*$")
_NUMBER = r"[-+]?(?:\d+(?:[.,]\d+)?|\.\d+)(?:[eE][-+]?\d+)?|nan|[-+]?inf(?:inity)?"
_PAIR = re.compile(  # what a person would read as a metric: accuracy: 0.9, "accuracy": [0.9, Accuracy = float64(0.9)
    r"(?<![\w./-])([A-Za-z_][A-Za-z0-9_./-]*)[\"']?(?:\s*(?::=|==?|:|->|\||\bis\b)\s*|\s+)"
    rf"[\"'\[(]*(?:[A-Za-z_][\w.]*\()?({_NUMBER})(?!\w|\.\d)",
    re.IGNORECASE,
)
_BLANK = re.compile(r"[\s\ufeff\x00]*")
_DECODER = json.JSONDecoder()
_QUOTED = 200  # characters of a line that are quoted
_SEARCHED = 2000  # characters of a line that are searched for what looks like a metric
_HINT = 500  # characters of a hint
_DEPTH = 3  # objects inside of each other that are searched
_BEHIND = 4096  # characters that are let go together
_KEPT = 5  # problems of the metrics file


@dataclass(frozen=True)
class NearMiss:
    """What was meant for a metric, perhaps: what to say of it, and how like the metric's its name is."""

    likeness: int
    hint: str


class MetricsReport:
    """What a process has reported so far: final metrics, the last value of each, and intermediate ones by step."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)
        self._printed: dict[str, float] = {}
        self._written: dict[str, float] = {}
        self._intermediate: set[tuple[int, str]] = set()
        self._near: dict[str, NearMiss] = {}
        self.misread: deque[str] = deque(maxlen=_KEPT)

    @property
    def final(self) -> dict[str, float]:
        """What is in the file counts more than what was printed: it was meant for us."""
        return self._printed | self._written

    def read_file(self, entries: Sequence[Document | str]) -> list[tuple[int, dict[str, float]]]:
        """Take in objects of the metrics file, and lines that are none; new intermediate reports are returned."""
        reports = []
        for entry in entries:
            if isinstance(entry, str):
                example = json.dumps(dict.fromkeys(sorted(self._names), 0.9))
                self._misread(f"{entry.strip()[:_QUOTED]!r} is no JSON object: write one a line, as {example}")
            elif (found := self._read(entry)) is not None:
                reports.append(found)
        return reports

    def read_whole_file(self, entries: Sequence[Document | str]) -> list[tuple[int, dict[str, float]]]:
        """As read_file, for the file as it is at the end: what was misread while it was being written is forgotten."""
        self.misread.clear()
        return self.read_file(entries)

    def read_printed(self, line: str) -> None:
        """Take in one line of output, if it is `name=value` of a metric."""
        found = _LINE.match(line)
        if found and found[1] in self._names:
            try:
                self._printed[found[1]] = float(found[2])
                return
            except ValueError:
                self._keep_nearest(found[1], found[1], _printed(line, f"{found[1]}=NUMBER"))
        for name, value in _PAIR.findall(line[:_SEARCHED]):
            for metric in self._names:
                self._keep_nearest(metric, name, _printed(line, f"{metric}={value.replace(',', '.')}"))

    def _keep_nearest(self, metric: str, name: str, hint: str) -> None:
        """Keep the hint if `name` is nearest to the metric so far; the own name of another metric is not meant."""
        if name in self._names and name != metric:
            return
        likeness, best = _likeness(name, metric), self._near.get(metric)
        if likeness and (best is None or likeness >= best.likeness):
            self._near[metric] = NearMiss(likeness, hint)

    def hints(self, missing: Sequence[str]) -> list[str]:
        """For metrics that were not reported: what came near, and what to write instead."""
        found = []
        for name in missing:
            if name in self._near:
                found.append(self._near[name].hint)
            elif steps := [step for step, metric in self._intermediate if metric == name]:
                found.append(f"{name} came with a step only (the last is {max(steps)}): report it once more without")
        return [*found, *(f"in $TUNING_METRICS_FILE {problem}" for problem in self.misread)]

    def _read(self, document: Document) -> tuple[int, dict[str, float]] | None:
        try:
            step = _step(document.get("step"))
        except (ValueError, TypeError, OverflowError):
            self._misread(f"step is {_quoted(document['step'])}, not a whole number from 0")
            return None
        values = self._numbers(document)
        for metric in self._names - document.keys():
            self._look_deeper(metric, document, document)
        if step is None:
            self._written |= values
            return None
        new = {name: value for name, value in values.items() if (step, name) not in self._intermediate}
        self._intermediate |= {(step, name) for name in new}
        return (step, new) if new else None

    def _numbers(self, document: Document) -> dict[str, float]:
        """The metrics of the object; what is null or no number is left out, and the rest of the line counts."""
        numbers = {}
        for name in self._names & document.keys():
            try:
                numbers[name] = float(document[name])
            except (ValueError, TypeError, OverflowError):
                self._misread(f"{name} is {_quoted(document[name])}, not a number")
        return numbers

    def _look_deeper(self, metric: str, document: Document, part: Document, depth: int = 0) -> None:
        """Under another name, or inside of another object, the metric's value may be meant."""
        for name, value in part.items():
            if isinstance(value, dict) and depth < _DEPTH:
                self._look_deeper(metric, document, value, depth + 1)
            elif isinstance(value, int | float | str):
                hint = f"in $TUNING_METRICS_FILE it wrote {_quoted(document)}: write {json.dumps({metric: value})}"
                self._keep_nearest(metric, name, hint[:_HINT])

    def _misread(self, problem: str) -> None:
        if problem not in self.misread:
            self.misread.append(problem)


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
    if not 0 <= step < 2**31:
        raise OverflowError("a step beyond what the store holds")
    return step


def _printed(line: str, instead: str) -> str:
    return f"it printed {line.strip()[:_QUOTED]!r}: print `{instead}`, alone on its line"


def _likeness(printed: str, metric: str) -> int:
    """3 for the metric's own name, 2 when only case or punctuation differ, 1 for a part or an abbreviation of it."""
    if printed == metric:
        return 3
    one, other = hints.plain(printed), hints.plain(metric)
    if one == other:
        return 2
    shorter, longer = sorted((one, other), key=len)
    return int(len(shorter) >= 3 and shorter in longer)


def _quoted(value: object) -> str:
    return json.dumps(value)[:_QUOTED]
