"""A study's manifest as a file on this machine: every problem is told with its place and, where it can be, its line.

A file may hold several objects, as kubectl takes them. The ConfigMap that a python objective names is its code.
"""

import re
import sys
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuning_client.exceptions import WrongUse
from tuning_study.api.resource import KIND
from tuning_study.api.spec import TuningStudySpec
from tuning_study.documents import Document, Mark, read_loosely
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import is_meant_as_study, read_study
from tuning_study.production.advice import advice_on_production
from tuning_study.promotion.canary.advice import advice_on_canary
from tuning_study.search.advice import advice
from tuning_study.text import first_of

STANDARD_INPUT = Path("-")
Located = tuple[Mark | None, str]
"""A problem, and where in the file it is."""

_MOST_PROBLEMS = 20  # of one file that are told at once: a screenful
_CONFIG_KEY = re.compile(r"(?!\.\.|\.$)[-._a-zA-Z0-9]{1,253}")


@dataclass(frozen=True)
class StudyFile:
    path: Path
    name: str
    spec: TuningStudySpec
    code: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Files of the ConfigMap that a python objective names, if the same file holds it."""
    warnings: tuple[str, ...] = ()
    """What is seldom wise, each behind its file and line."""
    digests: Mapping[str, str] | None = field(default=None, repr=False)
    """Of what the objective is made of, where its files say too little; see local.files."""


def read(path: Path) -> StudyFile:
    """The one study in `path`. Raises WrongUse with one line for each problem."""
    studies = read_all(path)
    if len(studies) > 1:
        names = ", ".join(study.name for study in studies)
        raise WrongUse(f"{path}: {len(studies)} studies ({names}): give each a file of its own")
    return studies[0]


def read_all(path: Path) -> list[StudyFile]:
    """Every study in `path`, one at least. Raises WrongUse with one line for each problem."""
    text = _text(path)
    try:
        read, ambiguous = read_loosely(text)
    except InvalidStudy as invalid:
        raise WrongUse(_screenful(path, _located(None, invalid.problems))) from invalid
    documents = [entry for document in read for entry in _entries(document)]
    studies = [document for document in documents if is_meant_as_study(_kind(document))]
    if not studies and not ambiguous:
        if len(documents) != 1:
            raise WrongUse(f"{path}: no {KIND} among {len(documents)} documents")
        studies = documents  # whose problem is then told by what it has
    found, problems = [], _located(None, ambiguous)
    for document in studies:
        try:
            found.append(_study(path, document, documents))
        except InvalidStudy as invalid:
            problems += _located(document, invalid.problems)
    if problems:
        raise WrongUse(_screenful(path, problems))
    return found


def _screenful(path: Path, problems: list[Located]) -> str:
    """A line for each problem, behind its place, in the file's order; those that are too many are counted."""
    ordered = sorted(problems, key=lambda located: located[0] or Mark(0, 0))
    lines = [f"{path}{_behind(mark)}: {problem}" for mark, problem in ordered]
    shown = first_of(lines, _MOST_PROBLEMS)
    return "\n".join([*shown[:_MOST_PROBLEMS], *(f"{path}: {rest} problems" for rest in shown[_MOST_PROBLEMS:])])


def _behind(mark: Mark | None) -> str:
    return f":{mark.line}:{mark.column}" if mark else ""


def _text(path: Path) -> str:
    if re.match(r"https?:/", str(path)):
        url = re.sub(r"^(https?):/+", r"\1://", str(path))  # a Path has taken one of the slashes
        raise WrongUse(f"{url}: a file is wanted here, or - for standard input: curl -fsSL {url} | tuning COMMAND -")
    try:
        raw = sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WrongUse(f"{path}: not text in UTF-8") from error
    except OSError as error:
        raise WrongUse(f"{path}: {(error.strerror or str(error)).lower()}") from error


def _entries(document: Document) -> list[Document]:
    """The objects of a List, which is what `kubectl get -o yaml` writes; else the document itself."""
    items = document.content.get("items") if _kind(document) == "List" else None
    if not isinstance(items, list):
        return [document]
    return [Document(item, document.mark, document.marks) for item in items]


def _kind(document: Document) -> Any:
    return document.content.get("kind") if isinstance(document.content, dict) else None


def _study(path: Path, document: Document, beside: list[Document]) -> StudyFile:
    if not isinstance(document.content, dict):
        raise InvalidStudy([f"expected a {KIND}, found a {type(document.content).__name__}"])
    namespace, name, spec = read_study(document.content)
    wanted = spec.objective.python.config_map if spec.objective.python else None
    code = next((_files(other) for other in beside if _names_config_map(other, namespace, wanted)), {})
    located = _located(document, [f"spec.{sentence}" for sentence in _advice(spec)])
    return StudyFile(path, name, spec, code, tuple(f"{path}{_behind(mark)}: {sentence}" for mark, sentence in located))


def _advice(spec: TuningStudySpec) -> Iterator[str]:
    yield from advice(spec)
    yield from advice_on_production(spec)
    if spec.promotion is not None and spec.promotion.canary is not None:
        yield from advice_on_canary(spec.promotion.canary)


def _names_config_map(document: Document, namespace: str, name: str | None) -> bool:
    metadata = document.content.get("metadata") if _kind(document) == "ConfigMap" else None
    return (
        isinstance(metadata, dict)
        and metadata.get("name") == name is not None
        and metadata.get("namespace", namespace) == namespace
    )


def _files(document: Document) -> dict[str, bytes]:
    """A ConfigMap's files. Their names are those that Kubernetes takes, so that none leads out of a folder."""
    files: dict[str, bytes] = {}
    for part in ("data", "binaryData"):
        entries = document.content.get(part) or {}
        if not isinstance(entries, dict):
            raise InvalidStudy([f"{document.find(part)}: {part}: expected file names and their contents"])
        for key, value in entries.items():
            place = f"{document.marks[id(entries), key]}: {part}: {key!r}"
            if not _CONFIG_KEY.fullmatch(key):
                raise InvalidStudy([f"{place} is no file name that a ConfigMap takes"])
            if not isinstance(value, str):
                raise InvalidStudy([f"{place} holds no text: quote it, or begin it with `|`"])
            try:
                files[key] = value.encode() if part == "data" else b64decode(value, validate=True)
            except ValueError as error:
                raise InvalidStudy([f"{place} is not in base64"]) from error
    return files


def _located(document: Document | None, problems: list[str]) -> list[Located]:
    """Each problem with the line and column that its place (`spec.parameters[0].min`) stands for."""
    found: list[Located] = []
    for problem in problems:
        if own := re.match(r"line (\d+), column (\d+): ", problem):
            found.append((Mark(int(own[1]), int(own[2])), problem[own.end() :]))
            continue
        place, colon, _ = problem.partition(":")
        found.append((document.find(place) if document and colon else None, problem))
    return found
