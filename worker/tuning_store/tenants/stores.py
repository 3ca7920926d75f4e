"""The stores of all tenants of one cluster, to read from. For the dashboard, which shows them side by side."""

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine

from tuning_store.exceptions import UnknownRound
from tuning_store.postgres.progress import read_all
from tuning_store.store import Store, open_store
from tuning_store.tenants.registry import tenant_of
from tuning_store.tenants.schemas import in_all
from tuning_store.urls import driver_url, engine_arguments
from tuning_store.values import Progress

_MOST_IDLE = 8  # stores, each with a connection, and with what it has read of its histories


class TenantStores:
    """By the administrator's login, whose sessions here may not write. Safe for several threads.

    `owner` is the cluster; `namespaces` are those that are shown, all when empty.
    """

    def __init__(self, admin_url: str, owner: str, namespaces: Collection[str] = ()) -> None:
        self._url, self._owner, self._namespaces = admin_url, owner, frozenset(namespaces)
        self.engine: Engine = create_engine(driver_url(admin_url), **engine_arguments(admin_url, read_only=True))
        """For what the administrator's own schema tells of studies."""
        self._lock = threading.Lock()
        self._idle: list[tuple[str, Store]] = []  # with their schemas, the one used last at the end

    def progress(self) -> Mapping[str, Progress]:
        """Every round, by the study's name. Raises StoreError."""
        found = in_all(self.engine, lambda schemas: read_all(self.engine, schemas))
        return {study: progress for (schema, study), progress in found.items() if schema == self._schema(study)}

    @contextmanager
    def holding(self, study: str) -> Iterator[Store]:
        """The store of the study's namespace. Raises UnknownRound for a name of none that is shown."""
        schema = self._schema(study)
        if schema is None:
            raise UnknownRound(f"there is no study {study}")
        store = self._take(schema) or open_store(self._url, schema=schema, read_only=True)
        try:
            yield store
        finally:
            self._put_back(schema, store)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for _, store in idle:
            store.close()
        self.engine.dispose()

    def _schema(self, study: str) -> str | None:
        """Where a study of that name belongs: a tenant may write any name into its own schema, also another's."""
        namespace, separator, _ = study.partition("/")
        if not separator or (self._namespaces and namespace not in self._namespaces):
            return None
        return tenant_of(namespace, self._owner).schema

    def _take(self, schema: str) -> Store | None:
        with self._lock:
            found = next((entry for entry in reversed(self._idle) if entry[0] == schema), None)
            if found is None:
                return None
            self._idle.remove(found)
            return found[1]

    def _put_back(self, schema: str, store: Store) -> None:
        with self._lock:
            self._idle.append((schema, store))
            gone = self._idle.pop(0)[1] if len(self._idle) > _MOST_IDLE else None
        if gone is not None:
            gone.close()
