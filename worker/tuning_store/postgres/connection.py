"""A PostgreSQL as postgres.storage talks to it: one statement is one round trip and one transaction."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg2

from tuning_store.exceptions import StoreUnavailable, translated
from tuning_store.retry import RetryPolicy
from tuning_store.urls import libpq_arguments

Row = tuple[Any, ...]
_MAX_IDLE = 2  # connections that are kept open; others close after use


class Connection:
    """Statements that each commit by themselves, on as few connections as possible. Safe for several threads.

    The connection that was used last is used next, so that one is enough unless statements of two threads overlap.
    Can be pickled: the copy opens connections of its own.
    """

    def __init__(self, url: str | Callable[[], str], arguments: Mapping[str, Any], retry: RetryPolicy) -> None:
        """`arguments` are the driver's. A `url` that is a function is asked again for each connection."""
        self._recipe = url, dict(arguments), retry.seconds
        self.retry = retry
        self.losses = 0
        """How often a connection broke: what was read before may no longer hold."""
        self._idle: list[Any] = []
        self._lock = threading.Lock()

    def __reduce__(self) -> Any:
        return _reopen, self._recipe

    @property
    def source(self) -> str | Callable[[], str]:
        """The address, or where to ask for it."""
        return self._recipe[0]

    @property
    def url(self) -> str:
        """The address as it is now."""
        return self.source if isinstance(self.source, str) else self.source()

    @property
    def arguments(self) -> Mapping[str, Any]:
        return self._recipe[1]

    def call(self, statement: str, parameters: Sequence[Any]) -> list[Row]:
        """The statement's rows. Repeated by the retry policy."""
        return self.retry(lambda: self.call_once(statement, parameters))

    def call_once(self, statement: str, parameters: Sequence[Any]) -> list[Row]:
        """The same, without repeating. Raises StoreUnavailable and its siblings."""
        with translated():
            connection = self._take()
            try:
                with connection.cursor() as cursor:
                    cursor.execute(statement, parameters)
                    rows = list(cursor.fetchall())
            except (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.InternalError):
                self.losses += 1
                connection.close()  # it may be broken, or lead to a server that is no longer the right one
                raise
            except BaseException:
                connection.close()
                raise
            self._keep(connection)
            return rows

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> Any:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        try:
            address = libpq_arguments(self.url)
        except ValueError as error:  # whose text may quote the password
            raise StoreUnavailable(f"the store's address cannot be used: {error}") from None
        connection = psycopg2.connect(**address, **self.arguments)
        connection.autocommit = True
        return connection

    def _keep(self, connection: Any) -> None:
        with self._lock:
            if len(self._idle) < _MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()


def _reopen(url: str, arguments: Mapping[str, Any], seconds: float) -> Connection:
    return Connection(url, arguments, RetryPolicy(seconds))
