"""One piece of evidence about the model in production. Read by all judgements of this package."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Observation:
    """New evidence, not a poll: what was measured over one window, which no other observation is about."""

    time: datetime
    """The window's end, aware."""
    value: float
    """Finite."""
    samples: int | None = None
    """Behind the value, such as labelled predictions; None where their number is unknown."""
    coverage: float | None = None
    """The share of the window's predictions that a label came for; None where only labelled ones are known."""
