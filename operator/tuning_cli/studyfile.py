"""A study's manifest as a file on this machine: every problem is told with its place and, where it can be, its line.

A file may hold several objects, as kubectl takes them. The ConfigMap that a python objective names is its code.
"""

import re
import sys
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuning_cli.exceptions import WrongUse
from tuning_study.advice import advice
from tuning_study.documents import Document, read_documents
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import read_study
from tuning_study.spec import KIND, TuningStudySpec

STANDARD_INPUT = Path("-")
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
        documents = [entry for document in read_documents(text) for entry in _entries(document)]
    except InvalidStudy as invalid:
        raise WrongUse("\n".join(_located(path, None, invalid.problems))) from invalid
    studies = [document for document in documents if _kind(document) == KIND]
    if not studies:
        if len(documents) != 1:
            raise WrongUse(f"{path}: no {KIND} among {len(documents)} documents")
        studies = documents  # whose problem is then told by what it has
    found, problems = [], []
    for document in studies:
        try:
            found.append(_study(path, document, documents))
        except InvalidStudy as invalid:
            problems += _located(path, document, invalid.problems)
    if problems:
        raise WrongUse("\n".join(problems))
    return found


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
    return [Document(item, document.line, document.lines) for item in items]


def _kind(document: Document) -> Any:
    return document.content.get("kind") if isinstance(document.content, dict) else None


def _study(path: Path, document: Document, beside: list[Document]) -> StudyFile:
    if not isinstance(document.content, dict):
        raise InvalidStudy([f"expected a {KIND}, found a {type(document.content).__name__}"])
    namespace, name, spec = read_study(document.content)
    wanted = spec.objective.python.config_map if spec.objective.python else None
    code = next((_files(other) for other in beside if _names_config_map(other, namespace, wanted)), {})
    told = _located(path, document, [f"spec.{sentence}" for sentence in advice(spec)])
    return StudyFile(path, name, spec, code, tuple(told))


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
            raise InvalidStudy([f"line {document.line_of(part)}: {part}: expected file names and their contents"])
        for key, value in entries.items():
            place = f"line {document.lines[id(entries), key]}: {part}: {key!r}"
            if not _CONFIG_KEY.fullmatch(key):
                raise InvalidStudy([f"{place} is no file name that a ConfigMap takes"])
            if not isinstance(value, str):
                raise InvalidStudy([f"{place} holds no text: quote it, or begin it with `|`"])
            try:
                files[key] = value.encode() if part == "data" else b64decode(value, validate=True)
            except ValueError as error:
                raise InvalidStudy([f"{place} is not in base64"]) from error
    return files


def _located(path: Path, document: Document | None, problems: list[str]) -> list[str]:
    """Each problem behind the file and line that its place (`spec.parameters[0].min`) stands for."""
    told = []
    for problem in problems:
        if own := re.match(r"line (\d+): ", problem):
            told.append(f"{path}:{own[1]}: {problem[own.end() :]}")
            continue
        place, colon, _ = problem.partition(":")
        line = document.line_of(place) if document and colon else None
        told.append(f"{path}:{line}: {problem}" if line else f"{path}: {problem}")
    return told
