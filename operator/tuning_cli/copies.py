"""`tuning backup` and `tuning restore`: opens the store, and tells what it refuses as this command's own errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine

from tuning_cli import database, source
from tuning_cli.exceptions import CommandError, WrongUse
from tuning_cli.source import Where
from tuning_store import backup as backups
from tuning_store.backup import BackupUnusable, Contents
from tuning_store.exceptions import AuthenticationRefused, StoreError
from tuning_store.urls import driver_url, engine_arguments


def backup(file: Path, where: Where, namespace: str | None) -> Contents:
    if where.local and not database.exists(database.FOLDER):
        raise WrongUse(f"no {database.FOLDER} here: no study has run in this folder")
    try:
        with _engine(where) as engine:
            return backups.write(engine, file, namespace)
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}") from error


def restore(file: Path, where: Where) -> Contents:
    if where.local:
        database.make_folder(database.FOLDER)
    with _engine(where) as engine:
        return backups.restore(engine, file)


@contextmanager
def _engine(where: Where) -> Iterator[Engine]:
    try:
        with source.store_url(where) as url:
            engine = create_engine(driver_url(url), **engine_arguments(url))
            try:
                yield engine
            finally:
                engine.dispose()
    except BackupUnusable as error:
        raise CommandError(str(error)) from error
    except AuthenticationRefused as error:
        raise WrongUse(f"the store refuses the user name or password, or has no such database: {error}") from error
    except StoreError as error:
        raise CommandError(f"the store cannot be used: {error}") from error
