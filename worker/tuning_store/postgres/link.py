"""One statement, one round trip, one transaction; repeated while the server is away."""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg2  # type: ignore[import-untyped]
from sqlalchemy import Engine, create_engine

from tuning_store.exceptions import translated
from tuning_store.patience import Patience

Row = tuple[Any, ...]


class Link:
    """Statements that each commit by themselves, on the fewest connections. Safe for several threads."""

    def __init__(self, url: str, arguments: Mapping[str, Any], patience: Patience) -> None:
        """`arguments` are the driver's."""
        self._recipe = url, dict(arguments), patience.seconds
        self.patience = patience
        self.engine: Engine = create_engine(
            url,
            connect_args=dict(arguments),
            isolation_level="AUTOCOMMIT",
            pool_reset_on_return=None,
            pool_use_lifo=True,  # one connection does, but for the moments when another thread needs one
            pool_size=2,
            max_overflow=8,
        )
        self.losses = 0  # how often a connection broke: what was read before may no longer hold

    def __reduce__(self) -> Any:
        return _reopen, self._recipe

    def call(self, statement: str, parameters: Sequence[Any]) -> list[Row]:
        return self.patience(lambda: self.once(statement, parameters))

    def once(self, statement: str, parameters: Sequence[Any]) -> list[Row]:
        """Raises StoreUnavailable and its siblings; nobody tries again."""
        with translated():
            connection = self.engine.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute(statement, parameters)
                return list(cursor.fetchall())
            except (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.InternalError):
                self.losses += 1
                connection.invalidate()  # it may be broken, or lead to a server that is no longer the right one
                raise
            finally:
                connection.close()


def _reopen(url: str, arguments: Mapping[str, Any], seconds: float) -> Link:
    return Link(url, arguments, Patience(seconds))
