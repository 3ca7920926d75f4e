"""One statement, one round trip, one transaction; repeated while the server is away."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg2  # type: ignore[import-untyped]

from tuning_store.exceptions import StoreUnavailable, translated
from tuning_store.patience import Patience
from tuning_store.urls import libpq_arguments

Row = tuple[Any, ...]
_MAX_IDLE = 2  # connections that are kept; others close when they are given back


class Link:
    """Statements that each commit by themselves, on the fewest connections. Safe for several threads.

    The connection that was used last is used next: one does, unless statements of two threads overlap.
    """

    def __init__(self, url: str | Callable[[], str], arguments: Mapping[str, Any], patience: Patience) -> None:
        """`arguments` are the driver's. A `url` that is a function is asked again for each connection."""
        self._recipe = url, dict(arguments), patience.seconds
        self.patience = patience
        self.losses = 0  # how often a connection broke: what was read before may no longer hold
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
        return self.patience(lambda: self.once(statement, parameters))

    def once(self, statement: str, parameters: Sequence[Any]) -> list[Row]:
        """Raises StoreUnavailable and its siblings; nobody tries again."""
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
            self._give_back(connection)
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

    def _give_back(self, connection: Any) -> None:
        with self._lock:
            if len(self._idle) < _MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()


def _reopen(url: str, arguments: Mapping[str, Any], seconds: float) -> Link:
    return Link(url, arguments, Patience(seconds))
