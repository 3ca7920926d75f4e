"""Kubernetes durations (`2h`, `1h30m`, `500ms`) to `timedelta` and back."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from tuning_study.exceptions import InvalidDuration

_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: object) -> timedelta:
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not re.fullmatch(_PATTERN, text):
        raise InvalidDuration(f"{text!r} is not a duration; write a number and a unit, such as 90s, 10m or 1h30m")
    parts = re.findall(r"([0-9.]+)(ms|s|m|h)", text)
    try:
        return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
    except OverflowError as error:
        raise InvalidDuration(
            f"{text!r} is longer than time itself; write a duration such as 90s, 10m or 1h30m"
        ) from error


def format_duration(duration: timedelta) -> str:
    """The shortest exact text: `1h30m`, `90s` as `1m30s`, `0.5s` as `500ms`."""
    milliseconds = round(duration.total_seconds() * 1000)
    text = ""
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _PATTERN, "maxLength": 32}),
]
