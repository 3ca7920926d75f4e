"""Values of a status as the numbers of samples. Pure."""

from datetime import datetime
from typing import Any


def number_of(value: Any) -> float | None:
    """A number, or infinity, which is told as a text; None for what nobody of ours wrote."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def seconds_of(text: Any) -> float | None:
    """Since 1970, of a time as it stands in a status; None for what is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return None
