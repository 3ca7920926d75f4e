"""Waiting for a store that is away: whoever reads a log learns of it."""

import pytest
from structlog.testing import capture_logs

from tuning_store import retry
from tuning_store.exceptions import StoreUnavailable
from tuning_store.retry import RetryPolicy


@pytest.mark.parametrize(("worth_telling", "told"), [(0.0, 1), (60.0, 0)])
def test_a_long_wait_is_told_once_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, worth_telling: float, told: int
) -> None:
    monkeypatch.setattr(retry, "_WORTH_TELLING", worth_telling)
    left = [StoreUnavailable("could not extend file: No space left on device\nHINT: Check free disk space.")] * 3

    def operation() -> str:
        if left:
            raise left.pop()
        return "done"

    with capture_logs() as lines:
        assert RetryPolicy(60.0)(operation) == "done"

    assert len(lines) == told
    assert all(line["reason"] == "could not extend file: No space left on device" for line in lines)
