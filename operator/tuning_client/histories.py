"""Finds and reads the studies that a command is about, also those in a store that this project did not make."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from optuna.storages import BaseStorage

from tuning_client import overview, plain_optuna, production_history, recorded
from tuning_client.exceptions import TuningError, WrongUse
from tuning_client.local import database
from tuning_client.local.studies import active_at, choose, local_studies, resolved_round, round_of
from tuning_client.target import Target, local_store, reachable_url, whole_store
from tuning_report import round_history
from tuning_report.round_history import History, best_values, verification_progress
from tuning_report.run_identity import is_interrupted
from tuning_store.exceptions import UnknownRound
from tuning_store.store import Store
from tuning_study.round import ResolvedRound, is_search


def read(target: Target, name: str | None, number: int | None = None) -> History:
    """The study's round of that number; without it, the one that was active last.

    A store behind a URL may hold studies that this project did not make; they are read too.
    """
    if target.on_cluster:
        if number is not None:
            raise WrongUse("--round is for studies of this machine; a cluster tells of its rounds in status.rounds")
        return _read_cluster(target, name)
    if target.storage is not None and (found := _read_plain(target.storage, name)) is not None:
        return found
    with local_store(target) as store:
        if number is None:
            return round_history.read(store, choose(local_studies(store), name).study, target.home)
        return round_history.read(store, round_of(store, name, number).study, target.home)


def read_any_round(target: Target, name: str, number: int | None = None) -> History:
    """Also of a study on a cluster whose objects are gone, as long as its store keeps the round."""
    if not target.on_cluster:
        return read(target, name, number)
    from tuning_client.cluster import client, views

    try:
        study = client.connect(target.context, target.namespace).study(name)
    except WrongUse as missing:
        return _read_recorded(target, name, number, missing)
    return _read_stored(target, study, views.study_of_round(study, number))


def histories(target: Target) -> list[History]:
    """Every study of this machine, each at the round that was active last; others of a store behind a URL too."""
    if target.storage is not None:
        with _plain_studies(target.storage) as (storage, others):
            found = [plain_optuna.read(storage, name) for name in others]
        if found:
            return found
    with local_store(target) as store:
        return [round_history.read(store, standing.study, target.home) for standing in local_studies(store).values()]


def newest_round(target: Target, name: str | None) -> ResolvedRound:
    """The study's round of this machine that was active last."""
    with local_store(target) as store:
        return resolved_round(store, choose(local_studies(store), name).study)


def names(target: Target) -> list[str]:
    """The studies of this machine, or of a cluster's namespace."""
    if not target.on_cluster:
        with local_store(target) as store:
            return sorted(local_studies(store))
    from tuning_client.cluster import client

    return [study["metadata"]["name"] for study in client.connect(target.context, target.namespace).studies()]


def optuna_names(target: Target) -> list[str]:
    """The studies of this machine as optuna.load_study wants them named, the one that was active last at the end."""
    with local_store(target) as store:
        standings = store.readings.progress().values()
        return [each.study for each in sorted(standings, key=active_at) if is_search(each.study)]


def round_rows(target: Target) -> list[dict[str, object]]:
    """A row for each round of each study."""
    if target.on_cluster:
        from tuning_client.cluster import client, views

        studies = client.connect(target.context, target.namespace).studies()
        return [row for study in studies for row in views.round_rows(study)]
    if target.storage is not None:
        with _plain_studies(target.storage) as (storage, others):
            found = [plain_optuna.read(storage, name) for name in others]
        if found:
            return [
                overview.round_row(each.resolved, each.progress, each.best.values if each.best else None)
                for each in found
            ]
    rows = []
    with local_store(target) as store:
        standings = store.readings.progress()
        for standing in filter(lambda each: is_search(each.study), standings.values()):
            resolved = resolved_round(store, standing.study)
            values = best_values(store, resolved, standing, verification_progress(standings, standing))
            interrupted = is_interrupted(standing, store.load_study(standing.study).user_attrs)
            rows.append((resolved, overview.round_row(resolved, standing, values, interrupted=interrupted)))
    return [row for _, row in sorted(rows, key=lambda row: (row[0].name, row[0].number))]


@contextmanager
def study_storage(target: Target, name: str) -> Iterator[BaseStorage]:
    """Optuna's storage that holds the study, for as long as the block lasts."""
    from tuning_client.cluster import client, views

    if target.on_cluster:
        connection = client.connect(target.context, target.namespace)
        secret, key = views.storage_secret(connection.study(name))
        with (
            reachable_url(connection, secret, key) as url,
            database.opened(database.Database(url, "the study's store")) as store,
        ):
            yield store.storage
        return
    if target.storage is not None:
        with _plain_studies(target.storage) as (storage, others):
            if name in others:
                yield storage
                return
    with local_store(target) as store:
        yield store.storage


def _read_plain(url: str, name: str | None) -> History | None:
    """A study that plain Optuna made; None where the store holds ours, and none of that name."""
    with _plain_studies(url) as (storage, others):
        if name in others or (name is None and len(others) == 1):
            return plain_optuna.read(storage, name or others[0])
        if others and name is None:
            raise WrongUse(f"give the name of one study; it holds {', '.join(others)}")
        return None


@contextmanager
def _plain_studies(url: str) -> Iterator[tuple[BaseStorage, list[str]]]:
    """Optuna's storage behind the URL, and the names of the studies in it that this project did not make."""
    if not url.startswith(plain_optuna.JOURNAL) and database.is_missing(database.checked(url)):
        raise WrongUse(f"--storage: there is no {database.shown(url)}")
    with plain_optuna.storage(url) as storage:
        yield storage, plain_optuna.names(storage)


def _read_cluster(target: Target, name: str | None) -> History:
    from tuning_client.cluster import client, views

    if name is None:
        raise WrongUse("give the study's name; `tuning status` lists them, and --local means the one of this folder")
    study = client.connect(target.context, target.namespace).study(name)
    return _read_stored(target, study, views.store_study(study))


def _read_stored(target: Target, study: Mapping[str, Any], wanted: str) -> History:
    """Of a study on a cluster, the round that Optuna knows by this name."""
    from tuning_client.cluster import client, views

    secret, key = views.storage_secret(study)
    connection = client.connect(target.context, target.namespace)
    with (
        reachable_url(connection, secret, key) as url,
        database.opened(database.Database(url, "the study's store")) as store,
    ):
        return _read_whole(store, wanted)


def _read_recorded(target: Target, name: str, number: int | None, missing: WrongUse) -> History:
    """Of a study whose objects are gone: the record of its namespace knows its rounds. Raises `missing` where it does
    not."""
    wanted = production_history.study_of_round(recorded.read(target, name), number)
    if wanted is None:
        raise missing
    with whole_store(target) as store:
        return _read_whole(store, wanted)


def _read_whole(store: Store, wanted: str) -> History:
    try:
        return round_history.read(store, wanted)
    except UnknownRound as error:
        raise TuningError(f"the store does not hold {wanted}; was its history dropped?") from error
