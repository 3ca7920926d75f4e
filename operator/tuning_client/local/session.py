"""What runs on this machine need: the folder, the lock, the store. Used by start, comparing and repeating."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tuning_client.local import database
from tuning_client.local.database import Database
from tuning_client.local.disk import full_disk_told
from tuning_client.local.signals import Signals

if TYPE_CHECKING:
    from tuning_store.store import Store


@dataclass(frozen=True)
class Session:
    """For runs, one after another."""

    folder: Path
    database: Database
    store: "Store"
    signals: Signals
    home: Path | None
    """The folder, where the store is in it: places are noted from there, so that it may be moved."""


@contextmanager
def session(name: str, storage: str | None, folder: Path = database.FOLDER) -> Iterator[Session]:
    """The folder and the store in it, or behind the URL, with no other run of that name beside. Ctrl-C is caught."""
    if storage is not None:
        database.checked(storage)
    database.make_folder(folder)
    database.check_room(folder, storage)
    with (
        full_disk_told(folder),
        database.only_run(folder / f"{name}.lock", name),
        Signals().caught() as signals,
        database.database(folder, storage) as found,
        database.opened(found, create=True) as store,
    ):
        yield Session(folder, found, store, signals, folder if storage is None else None)
