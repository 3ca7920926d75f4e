"""Optuna's journal as Redis keeps it, and Redis itself: its clock, and its errors."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from optuna.storages.journal import BaseJournalBackend
from redis import Redis
from redis import exceptions as errors
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.retry import Retry

from tuning_store.exceptions import AuthenticationRefused, PermissionRefused, StoreError, StoreUnavailable

Log = dict[str, Any]

_AT_ONCE = 1000  # logs that are read with one command
_APPEND = """
redis.call('setnx', ':log_number', -1)
for _, log in ipairs(ARGV) do
    redis.call('set', ':log:' .. redis.call('incr', ':log_number'), log)
end
"""


def connect(url: str) -> Redis:
    """Repeats nothing by itself: only we know what may be said twice."""
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0))


class RedisJournal(BaseJournalBackend):
    """The journal under the keys of Optuna's JournalRedisBackend, which reads and writes it too.

    Without that one's snapshots: they are pickled, and whoever can write to the Redis could have us run anything.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def read_logs(self, log_number_from: int) -> Iterator[Log]:
        with translated():
            last = int(self._redis.get(":log_number") or -1)
        for first in range(log_number_from, last + 1, _AT_ONCE):
            with translated():
                found: Any = self._redis.mget([f":log:{n}" for n in range(first, min(first + _AT_ONCE, last + 1))])
            yield from map(json.loads, found)

    def append_logs(self, logs: list[Log]) -> None:
        with translated():
            append(self._redis, logs)


def append(redis: "Redis | Pipeline", logs: Sequence[Log]) -> None:
    redis.eval(_APPEND, 0, *map(json.dumps, logs))


def clock(redis: "Redis | Pipeline") -> datetime:
    """The server's clock, as UTC without saying so, like that of the SQL stores."""
    seconds, micros = redis.time()
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None, microsecond=micros)


@contextmanager
def translated() -> Iterator[None]:
    """Redis's errors inside the block as this package's own, the original chained."""
    try:
        yield
    except errors.AuthenticationError as error:
        raise AuthenticationRefused(str(error)) from error
    except errors.NoPermissionError as error:
        raise PermissionRefused(str(error)) from error
    except (errors.ConnectionError, errors.TimeoutError, errors.ReadOnlyError) as error:
        raise StoreUnavailable(str(error)) from error
    except errors.RedisError as error:
        raise StoreError(str(error)) from error
