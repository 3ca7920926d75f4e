"""The families of models that `tuning init` knows, read from families.yaml. Called by init and by benchmarks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from ruamel.yaml import YAML

from tuning_client.exceptions import WrongUse
from tuning_study.api.parameters import Parameter
from tuning_study.text import nearest

Kind = Literal["classifier", "regressor"]
KINDS: tuple[Kind, Kind] = ("classifier", "regressor")


@dataclass(frozen=True)
class Tuned:
    """A parameter, and why its range and scale are what they are."""

    parameter: Parameter
    why: str
    default: Any
    """The library's own choice; None of numbers."""


@dataclass(frozen=True)
class Fixed:
    """An argument that is the same in every trial."""

    name: str
    value: Any
    why: str | None


@dataclass(frozen=True)
class Family:
    name: str
    titles: Mapping[Kind, str]
    """For people."""
    names: Sequence[str]
    """Others that it is known by."""
    classes: Mapping[Kind, str]
    """With their modules; none of a family that is a script."""
    scaled: bool
    """Columns are brought to one scale first."""
    scales_target: bool
    """The regressor's settings are for a target of one scale, to which it is brought first."""
    package: str | None
    """What has to be installed for it."""
    native: Sequence[str]
    """What of a table the model takes as it is: `categories`, `gaps`."""
    weighted: str | None
    """The classifier's argument that makes rare classes count more."""
    _fixed: Sequence[Mapping[str, Any]]
    _tuned: Sequence[Mapping[str, Any]]

    def fixed(self, kind: Kind) -> list[Fixed]:
        return [Fixed(e["name"], e["value"], e.get("why")) for e in self._fixed if e.get("of", kind) == kind]

    def tuned(self, kind: Kind) -> list[Tuned]:
        return [_tuned(entry) for entry in self._tuned if entry.get("of", kind) == kind]


@cache
def families() -> Mapping[str, Family]:
    text = files("tuning_client.starting").joinpath("families.yaml").read_text("utf-8")
    return {name: _family(name, entry) for name, entry in YAML(typ="safe", pure=True).load(text).items()}


def find(estimator: str) -> tuple[Family, Kind | None]:
    """The family of a short name or a class, with or without its module, and the kind that a class says.

    Raises WrongUse for any other name.
    """
    asked = _plain(estimator)
    for family in families().values():
        if asked in {_plain(name) for name in (family.name, *family.names)}:
            return family, None
        for kind, class_ in family.classes.items():
            library, name = class_.split(".")[0], class_.rpartition(".")[2]
            if asked == _plain(name) or (asked.startswith(f"{library}.") and asked.rpartition(".")[2] == _plain(name)):
                return family, kind
    known = [name for f in families().values() for name in (f.name, *f.names, *f.classes.values())]
    near = nearest(estimator, [*known, *(name.rpartition(".")[2] for name in known)])
    hint = f"did you mean {near}? " if near else ""
    raise WrongUse(f"--estimator: {estimator!r} is not known: {hint}The families are {', '.join(families())}")


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def _family(name: str, entry: Mapping[str, Any]) -> Family:
    title = entry["title"]
    return Family(
        name,
        title if isinstance(title, dict) else dict.fromkeys(KINDS, title),
        entry["names"],
        {kind: str(entry[kind]) for kind in KINDS if kind in entry},
        entry["scaled"],
        entry.get("scalesTarget", False),
        entry.get("package"),
        entry.get("native", ()),
        entry.get("weighted"),
        entry["args"],
        entry["parameters"],
    )


def _tuned(entry: Mapping[str, Any]) -> Tuned:
    fields = {name: value for name, value in entry.items() if name not in ("of", "why", "default")}
    return Tuned(Parameter.model_validate(fields), entry["why"], entry.get("default"))
