"""What the standard worker image has installed, so that a study whose function needs more is told before it starts."""

import ast
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tuning_client.exceptions import WrongUse

_DISTRIBUTION = "tuning-operator"


def check_imports(files: Mapping[str, str], workers: Mapping[str, Any]) -> None:
    """Raises WrongUse for a package that one of the modules imports and the standard worker image lacks.

    What an image of the user's own has only its workers can tell: they refuse a study whose objective does not import.
    """
    if workers.get("image"):
        return
    imported = {name for text in files.values() for name in _imported(text)}
    own = {Path(file).stem for file in files}
    missing = sorted(imported - sys.stdlib_module_names - own - _in_worker_image())
    if missing:
        raise WrongUse(
            f"the standard worker image has no {', '.join(missing)}: build an image from it that has, and name it: "
            'spec={"workers": {"image": "registry/my-worker:1"}}; docs/objectives.md shows the Dockerfile'
        )


def _imported(text: str) -> Iterator[str]:
    """Top-level packages that the module imports, anywhere in it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def _in_worker_image() -> set[str]:
    """Top-level packages of what the worker's requirements bring."""
    wanted, seen = [(_DISTRIBUTION, frozenset({"worker", ""}))], set()
    while wanted:
        name, extras = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        wanted += [(needed, frozenset({""})) for needed in _requirements(name, extras)]
    tops = metadata.packages_distributions()
    return {top for top, owners in tops.items() if {canonicalize_name(owner) for owner in owners} & seen}


def _requirements(distribution: str, extras: frozenset[str]) -> Iterator[str]:
    try:
        texts = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return
    for requirement in map(Requirement, texts):
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            yield canonicalize_name(requirement.name)
