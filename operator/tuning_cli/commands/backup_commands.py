"""`tuning backup` and `tuning restore`: opens the store, and tells what it refuses as this command's own errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine

from tuning_client import target as targets
from tuning_client.exceptions import TuningError, WrongUse
from tuning_client.local import database
from tuning_client.target import Target
from tuning_store import backup as backups
from tuning_store.backup import BackupUnusable, Contents
from tuning_store.exceptions import AuthenticationRefused, StoreError
from tuning_store.urls import driver_url, engine_arguments


def backup(file: Path, target: Target, namespace: str | None) -> Contents:
    if target.local and not database.exists(database.FOLDER):
        raise WrongUse(f"no {database.FOLDER} here: no study has run in this folder")
    try:
        with _engine(target) as engine:
            return backups.write(engine, file, namespace)
    except OSError as error:
        raise TuningError(f"{file} cannot be written: {error.strerror}") from error


def restore(file: Path, target: Target) -> Contents:
    if target.local:
        database.make_folder(database.FOLDER)
    with _engine(target) as engine:
        return backups.restore(engine, file)


@contextmanager
def _engine(target: Target) -> Iterator[Engine]:
    try:
        with targets.store_url(target) as url:
            engine = create_engine(driver_url(url), **engine_arguments(url))
            try:
                yield engine
            finally:
                engine.dispose()
    except BackupUnusable as error:
        raise TuningError(str(error)) from error
    except AuthenticationRefused as error:
        raise WrongUse(f"the store refuses the user name or password, or has no such database: {error}") from error
    except StoreError as error:
        raise TuningError(f"the store cannot be used: {error}") from error
