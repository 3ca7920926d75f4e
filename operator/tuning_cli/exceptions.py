"""Everything the command raises on purpose; app.main turns it into a message on stderr and an exit code.

CommandError          exit 1: it was asked rightly, and could not be done
├── WrongUse          exit 2: the manifest, an option or a name is wrong
└── ClusterError      exit 1: the cluster refuses, or cannot be reached
"""


class CommandError(Exception):
    """Base of this package's errors; its text tells a person what to do next."""

    exit_code = 1


class WrongUse(CommandError):
    """What was given cannot be right."""

    exit_code = 2


class ClusterError(CommandError):
    """The API server refuses, or cannot be reached."""
