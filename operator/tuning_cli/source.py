"""Finds the history that a command is about: in this folder's store, behind a URL, or in a cluster's PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tuning_cli import database, history
from tuning_cli.exceptions import ClusterError, CommandError, WrongUse
from tuning_cli.history import History
from tuning_store import address
from tuning_store.exceptions import UnknownRound
from tuning_store.storage import Store
from tuning_store.urls import is_redis

if TYPE_CHECKING:
    from tuning_cli.cluster import Cluster


@dataclass(frozen=True)
class Where:
    """One rule: `--local` or `--storage` means this machine, everything else the cluster."""

    namespace: str | None = None
    context: str | None = None
    local: bool = False
    storage: str | None = None

    @property
    def on_cluster(self) -> bool:
        return not self.local and self.storage is None


@contextmanager
def local_store(where: Where) -> Iterator[Store]:
    if where.storage is None and not database.exists(database.FOLDER):
        raise WrongUse(f"no {database.FOLDER} here: no study has run in this folder; see `tuning run --help`")
    if where.storage is not None and database.is_missing(database.checked(where.storage)):
        raise WrongUse(f"--storage: there is no {database.shown(where.storage)}")
    with (
        database.database(database.FOLDER, where.storage) as found,
        database.opened(found) as store,
    ):
        if not store.ledger.exists():
            raise WrongUse(f"{found.kind} holds no study: start one with `tuning run FILE`")
        yield store


def read(where: Where, name: str | None) -> History:
    if where.on_cluster:
        return _read_cluster(where, name)
    with local_store(where) as store:
        return history.read(store, history.choose(history.local_studies(store), name).study)


def _read_cluster(where: Where, name: str | None) -> History:
    from tuning_cli import cluster, remote

    if name is None:
        raise WrongUse("give the study's name; `tuning status` lists them, and --local means the one of this folder")
    connection = cluster.connect(where.context, where.namespace)
    study = connection.study(name)
    wanted = remote.store_study(study)
    secret, key = remote.storage_secret(study)
    with (
        reachable_url(connection, secret, key) as url,
        database.opened(database.Database(url, "the study's store")) as store,
    ):
        try:
            return history.read(store, wanted)
        except UnknownRound as error:
            raise CommandError(f"the store does not hold {wanted}; was its history dropped?") from error


@contextmanager
def store_url(where: Where) -> Iterator[str]:
    """The store as a whole: the one behind a URL, of this folder, or the login of a cluster's namespace."""
    from tuning_cli import cluster
    from tuning_operator.names import TENANT_SECRET, TENANT_SECRET_KEY

    if where.on_cluster:
        connection = cluster.connect(where.context, where.namespace)
        with reachable_url(connection, TENANT_SECRET, TENANT_SECRET_KEY) as url:
            yield url
        return
    if where.storage is not None:
        database.checked(where.storage)
        if is_redis(where.storage):
            raise WrongUse("--storage: a Redis is saved by its own means; `redis-cli --rdb FILE` makes a copy")
    with database.database(database.FOLDER, where.storage) as found:
        yield found.url


@contextmanager
def reachable_url(connection: "Cluster", name: str, key: str) -> Iterator[str]:
    """The URL in a Secret, as it can be used from here for as long as the block lasts."""
    from tuning_cli import tunnel

    secret = connection.secret(name)
    if key not in secret:
        raise ClusterError(f"Secret {name} in namespace {connection.namespace} has no key {key}")
    with TemporaryDirectory() as folder:
        url = secret[key]
        if address.CERTIFICATE in secret:
            certificate = Path(folder) / address.CERTIFICATE
            certificate.write_text(secret[address.CERTIFICATE])
            url = address.trusting(url, certificate)
        with tunnel.reachable(url, connection.context) as near:
            yield near
