"""Everything that is raised on purpose, for a person to read; the command ends with the exit code.

TuningError           exit 1: it was asked rightly, and could not be done
├── WrongUse          exit 2: the manifest, an option, an argument or a name is wrong
└── ClusterError      exit 1: the cluster refuses, or cannot be reached
"""


class TuningError(Exception):
    """Base of this package's errors; its text tells a person what to do next."""

    exit_code = 1


class WrongUse(TuningError):
    """What was given cannot be right."""

    exit_code = 2


class ClusterError(TuningError):
    """The API server refuses, or cannot be reached."""
