"""A search space as people write it in Python, and as the manifest has it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuning_client.exceptions import WrongUse
from tuning_study.values import plain

_FORMS = (
    "write (low, high) for numbers, a list of choices, or tuning.Float(low, high, log=True), tuning.Int(low, high), "
    "tuning.Choice([…])"
)


@dataclass(frozen=True)
class Float:
    """Any number from `low` to `high`, both included; on a logarithmic scale with `log`."""

    low: float
    high: float
    step: float | None = None
    log: bool = False
    when: Mapping[str, Sequence[Any]] | None = None
    """`{"kernel": ["rbf"]}`: only while `kernel` is `rbf`."""

    def manifest(self, name: str) -> dict[str, Any]:
        return _numbers("Float", name, self)


@dataclass(frozen=True)
class Int:
    """Any whole number from `low` to `high`, both included; on a logarithmic scale with `log`."""

    low: int
    high: int
    step: int | None = None
    log: bool = False
    when: Mapping[str, Sequence[Any]] | None = None

    def manifest(self, name: str) -> dict[str, Any]:
        return _numbers("Int", name, self)


@dataclass(frozen=True)
class Choice:
    """One of `values`: strings, numbers, booleans, None, and lists and dicts of them. Tuples become lists."""

    values: Sequence[Any]
    when: Mapping[str, Sequence[Any]] | None = None

    def manifest(self, name: str) -> dict[str, Any]:
        return {"name": name, "type": "Categorical", "values": list(self.values), **_condition(self.when)}


Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""By name: Float, Int, Choice, `(low, high)`, or a list of choices. A list is the manifest's own form."""


def manifest_of(parameters: Parameters) -> list[dict[str, Any]]:
    """The manifest's `parameters`. Raises WrongUse for a value that stands for no range."""
    if not isinstance(parameters, Mapping):
        return [dict(entry) for entry in parameters]
    return [_one(name, given) for name, given in parameters.items()]


def _one(name: str, given: Any) -> dict[str, Any]:
    match plain(given):
        case Float() | Int() | Choice() as written:
            return written.manifest(name)
        case Mapping() as written:
            return {"name": name, **written}
        case (low, high) if isinstance(given, tuple) and _is_number(low) and _is_number(high):
            kind = Int if isinstance(low, int) and isinstance(high, int) else Float
            return kind(low, high).manifest(name)
        case list() | range() as values:
            return Choice(list(values)).manifest(name)
        case _:
            raise WrongUse(f"parameters: {name}={given!r} is no range: {_FORMS}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(kind: str, name: str, given: Float | Int) -> dict[str, Any]:
    document: dict[str, Any] = {"name": name, "type": kind, "min": given.low, "max": given.high}
    if given.step is not None:
        document["step"] = given.step
    if given.log:
        document["scale"] = "Log"
    return document | _condition(given.when)


def _condition(when: Mapping[str, Sequence[Any]] | None) -> dict[str, Any]:
    if not when:
        return {}
    if len(when) != 1:
        raise WrongUse(f"when: {dict(when)} names {len(when)} parameters: name one")
    [(parameter, values)] = when.items()
    return {"when": {"parameter": parameter, "values": list(values)}}
