"""Kubernetes durations (`2h`, `1h30m`, `500ms`) to `timedelta` and back."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from tuning_study.exceptions import InvalidDuration

# Whole milliseconds, and so few digits that all of them together, 32 characters, stay within a century: what is added
# to a date stays one, here, in Go and in every store.
DURATION_PATTERN = (
    r"^([0-9]{1,5}(\.[0-9]{1,3})?h|[0-9]{1,7}(\.[0-9]{1,3})?m|[0-9]{1,9}(\.[0-9]{1,3})?s|[0-9]{1,12}ms)+$"
)
_LONGEST = 32
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


def parse_duration(text: object) -> timedelta:
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or len(text) > _LONGEST or not re.fullmatch(DURATION_PATTERN, text):
        shown = repr(text)[:_LONGEST]
        raise InvalidDuration(
            f"{shown} is not a duration; write numbers with units, such as 90s, 10m or 1h30m, and at most 99999h"
        )
    parts = re.findall(r"([0-9.]+)(ms|s|m|h)", text)
    milliseconds = sum(round(float(number) * _MILLISECONDS[unit]) for number, unit in parts)
    return timedelta(milliseconds=milliseconds)


def format_duration(duration: timedelta) -> str:
    """The shortest exact text: `1h30m`, `90s` as `1m30s`, `0.5s` as `500ms`."""
    milliseconds = round(duration.total_seconds() * 1000)
    text = ""
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


_SCHEMA: dict[str, Any] = {"type": "string", "pattern": DURATION_PATTERN, "maxLength": _LONGEST}
_NO_TIME = "0s leaves no time at all: write a longer duration, such as 90s or 10m, or leave it out"


def _some(duration: timedelta) -> timedelta:
    if not duration:
        raise InvalidDuration(_NO_TIME)
    return duration


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_SCHEMA),
]
SomeTime = Annotated[
    Duration,
    AfterValidator(_some),
    WithJsonSchema(_SCHEMA | {"x-kubernetes-validations": [{"rule": "self.matches('[1-9]')", "message": _NO_TIME}]}),
]
"""A duration above zero."""
