"""JSON lines on stderr: what a cluster's log collection wants."""

import logging
import os
import sys
from typing import TextIO

import optuna
import structlog


def configure() -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(_own_stderr()),
        cache_logger_on_first_use=True,
    )
    # One line a trial is ours to write; Optuna's own would say it again in another form.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addHandler(logging.NullHandler())


def _own_stderr() -> TextIO:
    """A stream of our own to the same place: an objective may close or replace sys.stderr."""
    return os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
