"""Finds the history that a command is about: in this folder's store, behind a URL, or in a cluster's PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import inspect

from tuning_cli import database, history
from tuning_cli.exceptions import CommandError, WrongUse
from tuning_cli.history import History
from tuning_store import tables
from tuning_store.exceptions import UnknownRound
from tuning_store.storage import Store


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
        if not inspect(store.engine).has_table(tables.rounds.name):
            raise WrongUse(f"{found.kind} holds no study: start one with `tuning run FILE`")
        yield store


def read(where: Where, name: str | None) -> History:
    if where.on_cluster:
        return _read_cluster(where, name)
    with local_store(where) as store:
        return history.read(store, history.choose(history.local_studies(store), name).study)


def _read_cluster(where: Where, name: str | None) -> History:
    from tuning_cli import cluster, remote, tunnel

    if name is None:
        raise WrongUse("give the study's name; `tuning status` lists them, and --local means the one of this folder")
    connection = cluster.connect(where.context, where.namespace)
    study = connection.study(name)
    wanted = remote.store_study(study)
    secret, key = remote.storage_secret(study)
    with (
        tunnel.reachable(connection.secret_value(secret, key), where.context) as url,
        database.opened(database.Database(url, "the study's store")) as store,
    ):
        try:
            return history.read(store, wanted)
        except UnknownRound as error:
            raise CommandError(f"the store does not hold {wanted}; was its history dropped?") from error
