"""Types of fields of a status: texts that are cut to what fits, and numbers as JSON has them."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from tuning_study.text import truncate


def _cut_to(length: int) -> Callable[[Any], Any]:
    return lambda value: truncate(value, length) if isinstance(value, str) else value


# Texts of any length are taken, and cut with a mark: no text may keep a status from being written.
Label = Annotated[str, BeforeValidator(_cut_to(128)), Field(max_length=128)]
Short = Annotated[str, BeforeValidator(_cut_to(512)), Field(max_length=512)]
Message = Annotated[str, BeforeValidator(_cut_to(1024)), Field(max_length=1024)]
# JSON has no infinity, so that is told as text.
Value = Annotated[
    float | Literal["Infinity", "-Infinity"], WithJsonSchema({"x-kubernetes-preserve-unknown-fields": True})
]
