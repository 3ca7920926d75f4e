"""Keeps the PostgreSQL of a folder running for programs that tuning did not start: notebooks, optuna-dashboard.

`tuning url` starts one in the background; it ends by itself when nobody has been connected for a while.
"""

import fcntl
import signal
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import create_engine, text

from tuning_client.exceptions import TuningError
from tuning_client.local.database import database
from tuning_store.urls import driver_url

_LOOKS_EVERY = 5.0  # seconds
_READY = "ready"
_OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


def keep_running(folder: Path, idle: float) -> None:
    """Start a keeper for the folder's server, unless one runs; it ends after `idle` seconds without a connection."""
    command = [sys.executable, "-m", __name__, str(folder.resolve()), str(idle)]
    with (folder / "keeper.log").open("w") as log:  # our own stderr may be a pipe, which somebody reads to its end
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        )
    assert process.stdout is not None
    with process.stdout:
        if process.stdout.readline().strip() != _READY:
            raise TuningError(
                f"the store does not stay up (its keeper ended with code {process.wait()}): see {folder}/keeper.log"
            )
    process.returncode = 0  # it outlives this process, and is nobody's child to wait for


def main() -> None:
    folder, idle = Path(sys.argv[1]), float(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the server ends with its keeper
    with (folder / "keeper.lock").open("a") as lock, database(folder) as found:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another one keeps it
            print(_READY, flush=True)
            return
        print(_READY, flush=True)
        sys.stdout.close()
        _until_idle(found.url, folder, idle)


def _until_idle(url: str, folder: Path, idle: float) -> None:
    engine = create_engine(driver_url(url), isolation_level="AUTOCOMMIT")
    used = time.monotonic()
    while time.monotonic() - used < idle and folder.exists():
        time.sleep(min(_LOOKS_EVERY, idle / 4))
        with engine.connect() as connection:
            if connection.execute(_OTHERS).scalar_one():
                used = time.monotonic()
    engine.dispose()


if __name__ == "__main__":
    main()
