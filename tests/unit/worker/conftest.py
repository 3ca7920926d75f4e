"""Tests of the worker have one thread, as a worker has that shares its machine with others."""

from collections.abc import Iterator

import pytest
import threadpoolctl


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    with threadpoolctl.threadpool_limits(1):
        yield
