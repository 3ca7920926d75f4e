"""How long an operation waits for a database that is away: one policy, used by every kind of store."""

import errno
import functools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, Protocol, TypeVar, cast

import structlog
from optuna.storages import BaseStorage
from tenacity import (
    RetryCallState,
    Retrying,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from tuning_store.exceptions import AuthenticationRefused, OutOfFiles, SchemaOutdated, StoreUnavailable, translate

log = structlog.get_logger()

FOREVER = float("inf")
_WORTH_TELLING = 5.0  # seconds
R = TypeVar("R")
P = ParamSpec("P")
S = TypeVar("S", bound="_Retrying")


@dataclass(frozen=True)
class RetryPolicy:
    """Repeats an operation for `seconds`, or until `until` is set, while the server is away.

    A refused login is repeated for `refused_seconds`: a password that was just changed takes that long to arrive.
    Tables that are older than this program needs are waited for `outdated_seconds`, while an operator changes them.
    Safe for several threads. Errors that no waiting can help are raised at once.
    """

    seconds: float = 0.0
    until: threading.Event = field(default_factory=threading.Event)
    refused_seconds: float = 0.0
    outdated_seconds: float = 0.0

    def __call__(self, operation: Callable[[], R]) -> R:
        try:
            return operation()  # the usual case, which needs none of what follows
        except Exception as error:
            if not self.seconds or self.until.is_set() or not self._may_pass(error, 0.0):
                raise
        attempts = Retrying(
            retry=self._is_worth_another,
            stop=stop_after_delay(self.seconds) | stop_when_event_set(self.until),
            wait=wait_random_exponential(multiplier=0.1, max=2.0),
            sleep=sleep_using_event(self.until),
            before_sleep=_Teller(),
            reraise=True,
        )
        return attempts(operation)

    def telling(self, operation: Callable[[bool], R]) -> R:
        """`operation(repeated)`: True warns it that an earlier attempt may have been carried out, its answer lost."""
        tried = False

        def attempt() -> R:
            nonlocal tried
            repeated, tried = tried, True
            return operation(repeated)

        return self(attempt)

    def _is_worth_another(self, attempt: RetryCallState) -> bool:
        assert attempt.outcome is not None
        error = attempt.outcome.exception()
        return error is not None and self._may_pass(error, attempt.seconds_since_start or 0.0)

    def _may_pass(self, error: BaseException, seconds: float) -> bool:
        match translate(error):
            case AuthenticationRefused():
                return seconds < self.refused_seconds
            case SchemaOutdated():
                return seconds < self.outdated_seconds
            case StoreUnavailable() as passing:
                _check_files(passing)
                return True
            case _:
                return False


class _Teller:
    """Says once in the log that an operation waits, and for what: an outage of a moment is not worth a line."""

    def __init__(self) -> None:
        self._told = False

    def __call__(self, attempt: RetryCallState) -> None:
        if self._told or (attempt.seconds_since_start or 0.0) < _WORTH_TELLING or attempt.outcome is None:
            return
        self._told = True
        lines = str(attempt.outcome.exception()).strip().splitlines()
        log.warning("the store cannot be used now: waiting for it", reason=lines[0] if lines else "")


def _check_files(error: BaseException) -> None:
    """A process that may open no more files reaches no store, however long it waits: databases say no more than that
    they cannot be opened."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as refused:
        if refused.errno == errno.EMFILE:
            reason = "this process has reached its limit of open files; close what trials open"
            raise OutOfFiles(f"{reason} ({error})") from error


class _Retrying(Protocol):
    @property
    def retry(self) -> RetryPolicy: ...


def retried(operation: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A method that its object's `retry` policy repeats."""

    @functools.wraps(operation)
    def repeat(self: S, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.retry(lambda: operation(self, *args, **kwargs))

    return cast(Callable[Concatenate[S, P], R], repeat)


def retrying(*more: str) -> Callable[[type[R]], type[R]]:
    """A storage that inherits Optuna's operations: all of them, and `more`, are `retried`."""

    def decorate(storage: type[R]) -> type[R]:
        for name in sorted({*BaseStorage.__abstractmethods__, *more}):
            setattr(storage, name, retried(getattr(storage, name)))
        return storage

    return decorate
