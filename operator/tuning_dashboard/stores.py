"""Where the dashboard's studies are: in one store, or in as many as a cluster has namespaces."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from tuning_store.store import Store
from tuning_store.values import Progress


class Stores(Protocol):
    """What the dashboard reads. Safe for several threads; all of it raises StoreError."""

    def progress(self) -> Mapping[str, Progress]:
        """Every round that may be shown, by the study's name in its store."""
        ...

    def holding(self, study: str) -> AbstractContextManager[Store]:
        """The store that holds a study, for as long as the block lasts. Raises UnknownRound where none can."""
        ...


@dataclass(frozen=True)
class OneStore:
    """A store whose studies are all shown."""

    store: Store

    def progress(self) -> Mapping[str, Progress]:
        return self.store.readings.progress()

    @contextmanager
    def holding(self, study: str) -> Iterator[Store]:
        yield self.store
