"""How long an operation waits for a database that is away."""

import errno
import functools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from optuna.storages import BaseStorage
from tenacity import (
    RetryCallState,
    Retrying,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from tuning_store.exceptions import AuthenticationRefused, OutOfFiles, StoreUnavailable, translate

FOREVER = float("inf")
R = TypeVar("R")


@dataclass(frozen=True)
class Patience:
    """Repeats an operation for `seconds`, or until `until` is set, while the server is away.

    A refused login is waited out for `refused_seconds`: a password that was just changed takes that long to arrive.
    """

    seconds: float = 0.0
    until: threading.Event = field(default_factory=threading.Event)
    refused_seconds: float = 0.0

    def __call__(self, operation: Callable[[], R]) -> R:
        try:
            return operation()  # nearly always that is all, and costs less than being ready to repeat it
        except Exception as error:
            if not self.seconds or self.until.is_set() or not self._may_pass(error, 0.0):
                raise
        attempts = Retrying(
            retry=self._is_worth_another,
            stop=stop_after_delay(self.seconds) | stop_when_event_set(self.until),
            wait=wait_random_exponential(multiplier=0.1, max=2.0),
            sleep=sleep_using_event(self.until),
            reraise=True,
        )
        return attempts(operation)

    def repeat(self, operation: Callable[[bool], R]) -> R:
        """`operation(again)`, as often as it takes; `again` warns that an earlier one may have been carried out."""
        tried = False

        def attempt() -> R:
            nonlocal tried
            again, tried = tried, True
            return operation(again)

        return self(attempt)

    def _is_worth_another(self, attempt: RetryCallState) -> bool:
        assert attempt.outcome is not None
        error = attempt.outcome.exception()
        return error is not None and self._may_pass(error, attempt.seconds_since_start or 0.0)

    def _may_pass(self, error: BaseException, seconds: float) -> bool:
        match translate(error):
            case AuthenticationRefused():
                return seconds < self.refused_seconds
            case StoreUnavailable() as passing:
                _check_files(passing)
                return True
            case _:
                return False


def _check_files(error: BaseException) -> None:
    """A process that may open no more files reaches no store, however long it waits: databases say no more than that
    they cannot be opened."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as refused:
        if refused.errno == errno.EMFILE:
            reason = "this process has reached its limit of open files; close what trials open"
            raise OutOfFiles(f"{reason} ({error})") from error


def waits_out_outages(*more: str) -> Callable[[type[R]], type[R]]:
    """A storage whose every operation is repeated by its `_patience`: Optuna's own, and `more`."""

    def decorate(storage: type[R]) -> type[R]:
        for name in sorted({*BaseStorage.__abstractmethods__, *more}):
            setattr(storage, name, _patient(getattr(storage, name)))
        return storage

    return decorate


def _patient(operation: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(operation)
    def wait_out(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._patience(lambda: operation(self, *args, **kwargs))

    return wait_out
