"""Our PostgreSQL storage against Optuna's own suite for storages."""

from collections.abc import Iterator

import pytest
from optuna.storages import BaseStorage
from optuna.testing.pytest_storages import StorageTestCase

from tuning_store.store import open_storage


class TestPostgresStorage(StorageTestCase):
    @pytest.fixture
    def storage(self, postgres_url: str) -> Iterator[BaseStorage]:
        storage = open_storage(postgres_url)
        yield storage
        storage.close()  # type: ignore[attr-defined]
