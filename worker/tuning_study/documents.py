"""YAML that means one thing: what kubectl and YAML 1.2 read differently is refused, with its line.

kubectl takes YAML 1.1 and sends JSON. A manifest that both read alike has the same meaning on a laptop and a cluster.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from tuning_study.exceptions import InvalidStudy

_LARGEST = 1024 * 1024
_MOST_DOCUMENTS = 100
_MOST_VALUES = 1_000_000  # with each alias counted as what it stands for
_LONGEST = 1000  # characters of one problem

_DECIMAL = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_OTHER_BASE = re.compile(r"[-+]?(0b[01]+|0o[0-7]+|0x[0-9a-fA-F]+)")
_GO_INTEGER = re.compile(r"[-+]?(0[bB][01]+|0[oO][0-7]+|0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")


def _spelt(names: str, value: bool | None) -> dict[str, bool | None]:
    return {word: value for name in names.split() for word in (name, name.title(), name.upper())}


_WORDS = {"": None, "~": None} | _spelt("null", None) | _spelt("true", True) | _spelt("false", False)
_WORDS_1_1 = _WORDS | _spelt("y yes on", True) | _spelt("n no off", False)


class Mark(NamedTuple):
    """A place in the text; both count from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True)
class Document:
    """One YAML document, and where its entries stand in the text."""

    content: Any
    mark: Mark
    marks: dict[tuple[int, Any], Mark] = field(repr=False)  # by the identity of an entry's container, and its key

    def find(self, place: str) -> Mark | None:
        """Where the deepest part of `spec.parameters[0].min` that the document has stands; None if it has none.

        An entry of a list is counted (`parameters[0]`) or named (`parameters.C`).
        """
        mark, node = None, self.content
        for part in _parts(place):
            key = _key_in(node, part)
            if (id(node), key) not in self.marks:
                break
            mark, node = self.marks[id(node), key], node[key]
        return mark


def in_order_of(content: Any, problems: list[str]) -> list[str]:
    """The problems in the order in which their places stand in `content`; what is missing counts as its holder."""
    return sorted(problems, key=lambda problem: _position(content, problem.partition(":")[0]))


def _position(node: Any, place: str) -> list[int]:
    position = []
    for part in _parts(place):
        key = _key_in(node, part)
        if isinstance(node, Mapping) and key in node:
            position.append(list(node).index(key))
        elif isinstance(node, list) and key is not None:
            position.append(key)
        else:
            break
        node = node[key]
    return position


def _parts(place: str) -> list[str]:
    return re.findall(r"[^.\[\]]+", place)


def is_text(text: str) -> bool:
    """Whether every reader takes it for text without quotes."""
    return isinstance(_by_yaml_1_2(text), str) and isinstance(_by_kubectl(text), str)


def read_documents(text: str | bytes) -> list[Document]:
    """Every document that holds something. Raises InvalidStudy with all that is read in two ways."""
    documents, problems = read_loosely(text)
    if problems:
        raise InvalidStudy(problems)
    return documents


def read_loosely(text: str | bytes) -> tuple[list[Document], list[str]]:
    """Every document that holds something, and all that is read in two ways. Raises InvalidStudy where none is YAML."""
    if len(text) > _LARGEST:
        raise InvalidStudy([f"{len(text)} characters; Kubernetes takes no object beyond {_LARGEST}"])
    composer = _Composer(text)
    try:
        found = list(islice(composer.documents(), _MOST_DOCUMENTS))
    except RecursionError as error:
        raise InvalidStudy(["not YAML that can be read: nested too deeply"]) from error
    except MarkedYAMLError as error:
        raise InvalidStudy([_syntax(error)[:_LONGEST]]) from error
    except (YAMLError, ValueError) as error:
        raise InvalidStudy([f"not YAML: {error}"[:_LONGEST]]) from error
    return [document for document in found if document.content is not None], composer.problems


def _syntax(error: MarkedYAMLError) -> str:
    """Where the text stops being YAML, and what the reader was in the middle of."""
    at, since = error.problem_mark or error.context_mark, error.context_mark
    place = f"line {at.line + 1}, column {at.column + 1}: " if at else ""
    inside = f", {error.context}" + (f" from line {since.line + 1}" if since else "") if error.context else ""
    hint = ": indent with spaces, not with tabs" if "'\\t'" in str(error.problem) else ""
    return f"{place}not YAML: {error.problem}{inside}{hint}"


class _Composer:
    """Makes Python values of YAML's events, as kubectl does, and collects what it would read in another way."""

    def __init__(self, text: str | bytes) -> None:
        self._events: Iterator[Any] = iter(YAML(typ="safe", pure=True).parse(text))
        self.problems: list[str] = []

    def documents(self) -> Iterator[Document]:
        begun = False
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                self._anchors: dict[str, Any] = {}
                self._sizes: dict[int, int] = {}
                self._containers: list[Any] = []  # kept, so that no two of them have one identity
                self._marks: dict[tuple[int, Any], Mark] = {}
                first = next(self._events)
                if begun and (not event.explicit or (_mark(first).line == _mark(event).line and not _is_empty(first))):
                    self._refuse(event, "kubectl overlooks this document: begin it with `---` on a line of its own")
                begun = True
                yield Document(self._value(first), _mark(event), self._marks)

    def _value(self, event: Any) -> Any:
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                raise InvalidStudy([f"{_mark(event)}: *{event.anchor} stands for nothing that is whole before it"])
            return self._anchors[event.anchor]
        if event.tag is not None:
            self._refuse(event, f"remove the tag {event.tag}, which not every reader knows, and quote what is text")
        value: Any
        if isinstance(event, ScalarEvent):
            value = self._plain(event) if event.style is None else event.value
        elif isinstance(event, MappingStartEvent):
            value = self._mapping()
        else:
            value = self._sequence()
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _sequence(self) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            self._marks[id(found), len(found)] = _mark(event)
            found.append(self._value(event))
        self._weigh(found, found)
        return found

    def _mapping(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        written: set[str] = set()
        while not isinstance(event := next(self._events), MappingEndEvent):
            merges = isinstance(event, ScalarEvent) and event.style is None and event.value == "<<"
            key = "<<" if merges else self._value(event)
            value = self._value(next(self._events))
            if not isinstance(key, str):
                self._refuse(event, f"the key {_shown(key)} is no text: quote it")
            elif key in written:
                first = self._marks.get((id(found), key))
                since = f", first in line {first.line}" if first else ""
                self._refuse(event, f"{_shown(key)} is there twice{since}: remove one of them, or make one of both")
                self._join(found.get(key), value)
            elif merges:
                self._merge(event, found, value, first=not written)
            else:
                found[key] = value
                self._marks[id(found), key] = _mark(event)
            written.add(str(key))
        self._weigh(found, list(found.values()))
        return found

    def _join(self, one: Any, other: Any) -> None:
        """So that what stands in the second object of one key is not told to be missing."""
        if isinstance(one, dict) and isinstance(other, dict):
            for key in other.keys() - one.keys():
                one[key] = other[key]
                self._marks[id(one), key] = self._marks[id(other), key]
            self._weigh(one, list(one.values()))

    def _merge(self, event: Event, into: dict[str, Any], given: Any, first: bool) -> None:
        sources = given if isinstance(given, list) else [given]
        if not all(isinstance(source, dict) for source in sources):
            self._refuse(event, "`<<` takes in objects only")
        elif not first:
            self._refuse(event, "for kubectl `<<` replaces what stands before it: write it first")
        else:
            for source in reversed(sources):  # of several, the earlier prevail
                into.update(source)
                self._marks.update({(id(into), key): _mark(event) for key in source})

    def _plain(self, event: ScalarEvent) -> Any:
        text: str = event.value
        ours, theirs = _as_json(_by_yaml_1_2(text)), _as_json(_by_kubectl(text))
        if isinstance(ours, float) and not math.isfinite(ours):
            self._refuse(event, f"`{_cut(text)}` is no number that JSON has: quote it, or write another")
        elif (type(ours), ours) != (type(theirs), theirs):
            letter = text in ("y", "Y", "n", "N")  # a name, most likely
            other = "" if isinstance(theirs, str) or letter else f", or write {_shown(theirs)}"
            self._refuse(
                event,
                f"`{_cut(text)}` is {_shown(ours)} in YAML 1.2 and {_shown(theirs)} for kubectl:"
                f' quote it ("{_cut(text)}"){other}',
            )
        return ours

    def _weigh(self, container: Any, values: list[Any]) -> None:
        """Refuse aliases of aliases of aliases, which are short to write and too large for any reader."""
        size = 1 + sum(self._sizes.get(id(value), 1) for value in values)
        if size > _MOST_VALUES:
            raise InvalidStudy([f"its aliases stand for more than {_MOST_VALUES} values: write it with fewer"])
        self._sizes[id(container)] = size
        self._containers.append(container)

    def _refuse(self, event: Event, problem: str) -> None:
        self.problems.append(f"{_mark(event)}: {problem}"[:_LONGEST])


def _by_yaml_1_2(text: str) -> Any:
    """As YAML 1.2 with `_` in numbers, which both readers take."""
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    digits = text.replace("_", "") if text[0] in "+-0123456789" else text
    if _DECIMAL.fullmatch(digits) or _FLOAT.fullmatch(digits):
        return _number(digits)
    return int(digits, 0) if _OTHER_BASE.fullmatch(digits) else text


def _by_kubectl(text: str) -> Any:
    """As go-yaml 2 resolves a plain scalar. It has neither the dates nor the base 60 of YAML 1.1."""
    if text in _WORDS_1_1:
        return _WORDS_1_1[text]
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    digits = text.replace("_", "") if text[0] in "+-.0123456789" else text
    if _GO_INTEGER.fullmatch(digits):
        octal = re.fullmatch(r"[-+]?0[0-7]+", digits)
        whole = int(digits, 8) if octal else _number(digits) if _DECIMAL.fullmatch(digits) else int(digits, 0)
        if -(2**63) <= whole < 2**64:
            return whole
    if _FLOAT.fullmatch(digits):
        number = _number(digits)
        return number if math.isfinite(number) else text
    return text


def _number(text: str) -> int | float:
    """A whole number as long as both int64 and a float of about its size can be one."""
    real = float(text)
    return int(text) if _DECIMAL.fullmatch(text) and abs(real) < 2**64 else real


def _as_json(value: Any) -> Any:
    """As a number arrives from kubectl: 1.0 and 1e3 are whole, and what is beyond int64 is not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() and -(2**63) <= value < 2**63 else value
    if -(2**63) <= value < 2**63:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _key_in(node: Any, part: str) -> Any:
    if not isinstance(node, list):
        return part
    named = [at for at, entry in enumerate(node) if isinstance(entry, dict) and entry.get("name") == part]
    return int(part) if part.isdigit() and int(part) < len(node) else named[0] if named else None


def _is_empty(event: Event) -> bool:
    return isinstance(event, ScalarEvent) and event.value == ""


def _mark(event: Event) -> Mark:
    return Mark(int(event.start_mark.line) + 1, int(event.start_mark.column) + 1)


def _shown(value: Any) -> str:
    return _cut(json.dumps(value, ensure_ascii=False)) if not isinstance(value, list | dict) else "of several values"


def _cut(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
