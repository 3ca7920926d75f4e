"""Everything tuning_study raises.

TuningStudyError
├── InvalidStudy      the manifest asks for something that cannot be
├── InvalidDuration   a text that is not a Kubernetes duration
└── InvalidSchedule   a text that is not a schedule, or not a time zone
"""


class TuningStudyError(Exception):
    """Base of this package's errors; its text is written for the person who wrote the manifest."""


class InvalidStudy(TuningStudyError):
    """The study cannot run as written. `problems` holds one sentence for each fault, with its place."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class InvalidDuration(TuningStudyError, ValueError):
    """The text is not a duration such as `90s`, `10m` or `1h30m`."""


class InvalidSchedule(TuningStudyError, ValueError):
    """The text is not a schedule such as `0 3 * * 0` or `@daily`, or not a time zone such as `Europe/Berlin`."""
