"""A rule of the manifest, written once and enforced twice: by the API server (CEL) and by our own models (Python)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator, model_validator
from pydantic.alias_generators import to_camel


@dataclass(frozen=True)
class Rule:
    """`cel` and `holds` must agree on every object; tests/contract/test_crd.py holds them to it.

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
        broken = [
            f"{rule.message} ({rule.which(self)})" if rule.which else rule.message
            for rule in self.rules
            if not rule.holds(self)
        ]
        if broken:
            raise ValueError("; ".join(broken))
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
