"""Where the studies are that a command is about: in this folder's store, behind a URL, or in a cluster's PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tuning_client.exceptions import ClusterError, WrongUse
from tuning_client.local import database
from tuning_store import address
from tuning_store.store import Store
from tuning_store.urls import is_redis

if TYPE_CHECKING:
    from tuning_client.cluster.client import Cluster


@dataclass(frozen=True)
class Target:
    """One rule: `--local` or `--storage` means this machine, everything else the cluster."""

    namespace: str | None = None
    context: str | None = None
    local: bool = False
    storage: str | None = None
    folder: Path = database.FOLDER
    """Where `tuning run` keeps its store."""

    @property
    def on_cluster(self) -> bool:
        return not self.local and self.storage is None

    @property
    def home(self) -> Path | None:
        """The folder, where the store is in it."""
        return self.folder if self.local and self.storage is None else None


@contextmanager
def local_store(target: Target) -> Iterator[Store]:
    if target.storage is None and not database.exists(target.folder):
        raise WrongUse(f"no {target.folder} here: no study has run in this folder yet; `tuning run FILE` runs one")
    if target.storage is not None and database.is_missing(database.checked(target.storage)):
        raise WrongUse(f"--storage: there is no {database.shown(target.storage)}")
    with (
        database.database(target.folder, target.storage) as found,
        database.opened(found) as store,
    ):
        if not store.rounds.exist():
            raise WrongUse(f"{found.kind} holds no study: start one with `tuning run FILE`")
        yield store


@contextmanager
def store_url(target: Target) -> Iterator[str]:
    """The store as a whole: the one behind a URL, of this folder, or the login of a cluster's namespace."""
    from tuning_client.cluster import client
    from tuning_kube.names import TENANT_SECRET, TENANT_SECRET_KEY

    if target.on_cluster:
        connection = client.connect(target.context, target.namespace)
        with reachable_url(connection, TENANT_SECRET, TENANT_SECRET_KEY) as url:
            yield url
        return
    if target.storage is not None:
        database.checked(target.storage)
        if is_redis(target.storage):
            raise WrongUse("--storage: a Redis is saved by its own means; `redis-cli --rdb FILE` makes a copy")
    with database.database(target.folder, target.storage) as found:
        yield found.url


@contextmanager
def whole_store(target: Target) -> Iterator[Store]:
    """The store with all its studies; of a cluster's namespace, as that namespace's login sees it."""
    if not target.on_cluster:
        with local_store(target) as store:
            yield store
        return
    with store_url(target) as url, database.opened(database.Database(url, "the namespace's store")) as store:
        yield store


@contextmanager
def reachable_url(connection: "Cluster", name: str, key: str) -> Iterator[str]:
    """The URL in a Secret, as it can be used from here for as long as the block lasts."""
    from tuning_client.cluster import port_forward

    secret = connection.secret(name)
    if key not in secret:
        raise ClusterError(f"Secret {name} in namespace {connection.namespace} has no key {key}")
    with TemporaryDirectory() as folder:
        url = secret[key]
        if address.CERTIFICATE in secret:
            certificate = Path(folder) / address.CERTIFICATE
            certificate.write_text(secret[address.CERTIFICATE])
            url = address.trusting(url, certificate)
        with port_forward.reachable(url, connection.context) as near:
            yield near
