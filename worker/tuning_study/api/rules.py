"""A rule of the manifest, written once and enforced twice: by the API server (CEL) and by our own models (Python)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator, model_validator
from pydantic.alias_generators import to_camel


@dataclass(frozen=True)
class Rule:
    """`cel` and `holds` must agree on every object; tests/contract/crd holds them to it.

    `message` says what is wrong and what to write instead. `transition` rules compare with the object's earlier
    self, which only the API server knows, so they have no `holds`. What CEL cannot see has no `cel`; where a JSON
    schema can say it, `schema` does, and the API server refuses it with words of its own. What neither can say the
    operator tells in the Accepted condition.
    """

    cel: str | None
    message: str
    holds: Callable[[Any], bool] = lambda _: True
    which: Callable[[Any], str] | None = None
    """Names what breaks the rule, where CEL's message can not."""
    schema: Mapping[str, Any] | None = None
    field: str = ""
    """The field that a problem is placed at; without one the whole object."""
    at: Callable[[Any], str] | None = None
    """Where in `field` the rule is broken, where it can be told: `[2].metric`."""

    def broken_by(self, part: Any) -> "Broken | None":
        if self.holds(part):
            return None
        told = f"{self.message} ({self.which(part)})" if self.which else self.message
        return Broken(self.field + (self.at(part) if self.at else ""), told)


@dataclass(frozen=True)
class Broken:
    """A rule that an object breaks: where below the object, and what is wrong."""

    place: str
    message: str


class RulesBroken(ValueError):
    """An object whose fields can all be read, and which breaks rules."""

    def __init__(self, broken: Sequence[Broken]) -> None:
        self.broken = broken
        super().__init__("; ".join(f"{one.place}: {one.message}" if one.place else one.message for one in broken))


AS_MANIFEST: dict[str, Any] = {"strict": True, "by_alias": True, "by_name": False}
"""How to validate what the API server has to take, too: its types and its names."""


class Model(BaseModel):
    """Base of every part of the manifest: camelCase outside, snake_case inside, frozen, no unknown fields."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        defer_build=True,  # a worker, whose start is mostly imports, needs few of the models
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _follow_rules(self) -> Self:
        broken = [told for rule in self.rules if (told := rule.broken_by(self))]
        if broken:
            raise RulesBroken(broken)
        return self

    @field_validator("*", mode="before")
    @classmethod
    def _null_is_left_out(cls, given: Any, info: ValidationInfo) -> Any:
        """As the API server has it, which keeps the null."""
        if given is not None or info.field_name is None:
            return given
        field = cls.model_fields[info.field_name]
        return given if field.is_required() else field.get_default(call_default_factory=True)

    def manifest(self) -> dict[str, Any]:
        """The part as it stands in YAML: camelCase, without what was left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def one_name_each(field: str, entries: Callable[[Any], Sequence[Any]]) -> Rule:
    """Of a list whose entries have a `name`, by which the API server tells them apart itself."""

    def twice(part: Any) -> list[str]:
        names = [entry.name for entry in entries(part)]
        return sorted({name for name in names if names.count(name) > 1})

    return Rule(
        None,
        "two entries have one name: rename one of them",
        lambda part: not twice(part),
        lambda part: ", ".join(twice(part)),
        field=field,
    )
