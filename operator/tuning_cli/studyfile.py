"""A study's manifest as a file on this machine: every problem is told with its place and, where it can be, its line."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from tuning_cli.exceptions import WrongUse
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import parse_yaml, read_study
from tuning_study.spec import TuningStudySpec


@dataclass(frozen=True)
class StudyFile:
    path: Path
    name: str
    spec: TuningStudySpec


def read(path: Path) -> StudyFile:
    """The study in `path`. Raises WrongUse with one line for each problem."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise WrongUse(f"{path}: not text in UTF-8") from error
    except OSError as error:
        raise WrongUse(f"{path}: {(error.strerror or str(error)).lower()}") from error
    try:
        _, name, spec = read_study(parse_yaml(text))
    except InvalidStudy as invalid:
        raise WrongUse("\n".join(located(path, text, invalid.problems))) from invalid
    return StudyFile(path, name, spec)


def located(path: Path, text: str, problems: list[str]) -> list[str]:
    """Each problem behind the file and line that its place (`spec.parameters[0].min`) stands for."""
    try:
        document: Any = YAML().load(text)
    except (YAMLError, ValueError):
        document = None
    return [f"{path}{line_of(document, problem)}: {problem}" for problem in problems]


def line_of(document: Any, problem: str) -> str:
    """`:14` for the deepest part of the problem's place that the document has; nothing if it has none."""
    place, colon, _ = problem.partition(":")
    line, node = "", document
    for part in re.findall(r"[^.\[\]]+", place) if colon else ():
        key: Any = part
        if isinstance(node, CommentedSeq):
            # Some places name an entry (`parameters.C`), others count it (`parameters[0]`).
            named = [at for at, entry in enumerate(node) if isinstance(entry, dict) and entry.get("name") == part]
            key = int(part) if part.isdigit() and int(part) < len(node) else named[0] if named else None
            if key is None:
                break
            line, node = f":{node.lc.item(key)[0] + 1}", node[key]
        elif isinstance(node, CommentedMap) and key in node:
            line, node = f":{node.lc.key(key)[0] + 1}", node[key]
        else:
            break
    return line
