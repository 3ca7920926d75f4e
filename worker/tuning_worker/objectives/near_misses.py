"""Finds in what a process printed or wrote what was meant for a metric, perhaps, and says what to write instead.

Nothing here does I/O.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tuning_study.api.metrics import Metric
from tuning_study.api.patterns import STEP, VALUE, compile_pattern
from tuning_worker import hints
from tuning_worker.objectives.printed_lines import NUMBER, PrintedLines

_PAIR = re.compile(  # what a person would read as a metric: accuracy: 0.9, "accuracy": [0.9, Accuracy = float64(0.9)
    r"(?<![\w./-])([A-Za-z_][A-Za-z0-9_./@-]*)[\"']?(?:\s*(?::=|==?|:|->|\||\bis\b)\s*|\s+)"
    rf"[\"'\[(]*(?:[A-Za-z_][\w.]*\()?([-+]?\d+,\d+|{NUMBER})(?!\w|\.\d)",
    re.IGNORECASE,
)
_QUOTED = 200  # characters of a line that are quoted
_SEARCHED = 2000  # characters of a line that are searched
_HINT = 500  # characters of a hint
_DEPTH = 3  # objects inside of each other that are searched


@dataclass(frozen=True)
class _NearMiss:
    """How like the metric's its name is, and what to say of it, which is worked out when somebody asks."""

    likeness: int
    hint: Callable[[], str]


class NearMisses:
    """The nearest thing that was seen of each metric; of equally near ones the last."""

    def __init__(self, metrics: Sequence[Metric], lines: PrintedLines) -> None:
        self._names = frozenset(metric.name for metric in metrics)
        self._patterns = {metric.name: metric.pattern for metric in metrics if metric.pattern}
        self._lines = lines
        self._nearest: dict[str, _NearMiss] = {}

    def hint(self, metric: str) -> str | None:
        return self._nearest[metric].hint() if metric in self._nearest else None

    def look_at_line(self, line: str, missing: Iterable[str]) -> None:
        """Keep what the line seems to say of metrics that are `missing`."""
        line = line[:_SEARCHED]
        pairs = list(_PAIR.finditer(line)) if any(character.isdigit() for character in line) else []
        for metric in missing:
            if (text := self._lines.not_a_number(metric, line)) is not None:
                self._keep(metric, metric, partial(_no_number, text, line))
            elif metric not in self._patterns and _begins(line, metric):
                self._keep(metric, metric, partial(_say, line, f"print `{metric}=NUMBER`"))
            for pair in pairs:
                self._keep(metric, pair[1], partial(self._how_to_read, metric, line, pair))

    def look_at_document(self, document: dict[str, Any], missing: Iterable[str]) -> None:
        """The same for an object of the metrics file."""
        for metric in missing:
            self._look_deeper(metric, document, document)

    def _look_deeper(self, metric: str, document: dict[str, Any], part: dict[str, Any], depth: int = 0) -> None:
        """Under another name, or inside of another object, the metric's value may be meant."""
        for name, value in part.items():
            if isinstance(value, dict) and depth < _DEPTH:
                self._look_deeper(metric, document, value, depth + 1)
            elif isinstance(value, int | float | str):
                self._keep(metric, name, partial(_write_instead, document, {metric: value}))

    def _keep(self, metric: str, name: str, hint: Callable[[], str]) -> None:
        """Keep the hint if `name` is nearest to the metric so far; the own name of another metric is not meant."""
        if name in self._names and name != metric:
            return
        likeness, best = _likeness(name, metric), self._nearest.get(metric)
        if likeness and (best is None or likeness >= best.likeness):
            self._nearest[metric] = _NearMiss(likeness, hint)

    def _how_to_read(self, metric: str, line: str, pair: re.Match[str]) -> str:
        instead = f"print `{metric}={pair[2].replace(',', '.')}`"
        pattern = proposed_pattern(line, pair, self._lines.step(line))
        if pattern is not None:
            quoted = "'" + pattern.replace("'", "''") + "'"
            instead += f", or give the metric `pattern: {quoted}`"
        missed = "its pattern did not match" if metric in self._patterns else ""
        return "; ".join(filter(None, [missed, _say(line, instead)]))


def proposed_pattern(line: str, pair: re.Match[str], step: re.Match[str] | None) -> str | None:
    """A metric's `pattern` that reads the value of `pair`, and the step if it stands before it."""
    if "," in pair[2]:
        return None
    follows = line[pair.end(2) : pair.end(2) + 1]
    value = rf"(?P<{VALUE}>\S+)" if not follows or follows.isspace() else rf"(?P<{VALUE}>[-+.\w]+)"
    pattern = rf"\b{_literally(line[pair.start(1) : pair.start(2)])}{value}"
    if step is not None and step.end() <= pair.start(1):
        before = _literally(line[step.start() : step.start(STEP)])
        pattern = rf"{before}(?P<{STEP}>\d+).*?{pattern}"
    try:
        found = [match[VALUE] for match in compile_pattern(pattern).finditer(line)]
    except ValueError:
        return None
    return pattern if found[-1:] == [pair[2]] else None


def _literally(text: str) -> str:
    """An expression for the text; of spaces any number."""
    return r"\s+".join(re.sub(r"([.+*?()|\[\]{}^$\\])", r"\\\1", part) for part in re.split(r"\s+", text))


def _begins(line: str, metric: str) -> bool:
    """Whether the line is `metric=` and something."""
    name, equals, value = line.partition("=")
    return name.strip() == metric and bool(equals and value.strip())


def _say(line: str, instead: str) -> str:
    return f"it printed {_quoted(line)}: {instead}"


def _no_number(text: str, line: str) -> str:
    return f"its pattern found {text!r} in {_quoted(line)}, and that is no number"


def _write_instead(document: Mapping[str, Any], instead: Mapping[str, Any]) -> str:
    wrote = json.dumps(document)[:_QUOTED]
    return f"in $TUNING_METRICS_FILE it wrote {wrote}: write {json.dumps(instead)}"[:_HINT]


def _quoted(line: str) -> str:
    return repr(line.strip()[:_QUOTED])


def _likeness(printed: str, metric: str) -> int:
    """3 for the metric's own name, 2 when only case or punctuation differ, 1 for a part or an abbreviation of it."""
    if printed == metric:
        return 3
    one, other = hints.plain(printed), hints.plain(metric)
    if one == other:
        return 2
    shorter, longer = sorted((one, other), key=len)
    return int(len(shorter) >= 3 and shorter in longer)
