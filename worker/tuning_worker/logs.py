"""JSON lines on stderr: what a cluster's log collection wants."""

import logging
import os
import sys
from contextlib import suppress
from typing import TextIO, cast

import optuna
import structlog

from tuning_worker.supervision import place


def configure() -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _OwnStderr())),
        cache_logger_on_first_use=True,
    )
    # One line a trial is ours to write; Optuna's own would say it again in another form.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addHandler(logging.NullHandler())


class _OwnStderr:
    """A stream of our own to the same place: an objective may close or replace sys.stderr, or fill the disk.

    What cannot be written is let go: a line of the log is no reason to lose a trial.
    """

    def __init__(self) -> None:
        self._descriptor = os.dup(sys.stderr.fileno())
        self._place = place(self._descriptor)

    def write(self, text: str) -> int:
        with suppress(OSError):
            if place(self._descriptor) == self._place:  # else closed, and the number may be a connection's by now
                os.write(self._descriptor, text.encode(errors="backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""
