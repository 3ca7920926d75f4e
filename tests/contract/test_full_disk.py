"""`tuning run` on a disk without room: a real one, of a few megabytes, and a server that ends."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from contract.test_local_run import Folder, states, until

FILLS = """
import time
from pathlib import Path

def fills(trial):
    Path(f"began-{trial.number}").touch()
    time.sleep(0.1)
    while trial.number == 6 and not Path("room-was-made").exists():
        with open("ballast", "ab") as file:
            file.write(bytes(65536))
    return trial.suggest_float("x", 0, 1)

def goes_on(trial):
    Path(f"began-{trial.number}").touch()
    time.sleep(0.2)
    return trial.suggest_float("x", 0, 1)
"""
Mount = Callable[[int], Folder]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Mount]:
    """A folder on a disk of so many megabytes."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(megabytes: int) -> Folder:
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tuning-test", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this user may mount no file system")
        folder = Folder(place)
        (place / "objective.py").write_text(FILLS)
        return folder

    yield mount
    if place.is_mount():
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("storage", [(), ("--storage", "sqlite:///study.sqlite")])
def test_a_run_does_not_begin_on_a_full_disk(disk: Mount, storage: tuple[str, ...]) -> None:
    folder = disk(4)
    run = folder.tuning("run", folder.study("goes_on"), *storage)

    assert run.returncode == 1
    needed = 8 if storage else 128
    assert f"error: the disk of {folder.path}/.tuning is full: 4 MB are free, {needed} MB are needed" in run.stderr
    assert "log" not in run.stderr


def test_a_run_whose_disk_fills_ends_and_goes_on_when_there_is_room(disk: Mount) -> None:
    folder = disk(200)
    file = folder.study("fills", trials=150)  # the disk is looked at every two seconds

    run = folder.tuning("run", file, timeout=60)

    assert run.returncode == 1
    assert f"error: the disk of {folder.path}/.tuning is full: " in run.stderr
    assert "32 MB are needed" in run.stderr
    assert "start it again, and it goes on from here" in run.stderr
    until(lambda: not folder.left_behind(), "processes were left behind")

    (folder.path / "ballast").unlink()
    (folder.path / "room-was-made").touch()
    kept = states(folder.trials())["Complete"]
    again = folder.tuning("run", file)
    assert again.returncode == 0, again.stderr
    assert states(folder.trials())["Complete"] == 150
    assert kept >= 5


def test_a_command_says_that_the_disk_is_full_where_the_server_cannot_start(disk: Mount) -> None:
    folder = disk(200)
    assert folder.tuning("run", folder.study("goes_on", trials=2)).returncode == 0
    with suppress(OSError), (folder.path / "ballast").open("wb", buffering=0) as ballast:
        while ballast.write(bytes(65536)):
            pass

    told = folder.tuning("status", "--local")

    assert told.returncode == 1
    words = f"the embedded PostgreSQL does not start (the disk of {folder.path}/.tuning is full: 0 MB are free"
    assert told.stderr.startswith(f"error: {words}")


def test_a_run_whose_server_ends_says_so(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "objective.py").write_text(FILLS)
    run = folder.start("run", folder.study("goes_on", trials=4000))
    until(lambda: (tmp_path / "began-6").exists(), "no trials")

    server = psutil.Process(int((tmp_path / ".tuning/postgres/postmaster.pid").read_text().split()[0]))
    server.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=30)

    assert run.returncode == 1
    assert "error: the embedded PostgreSQL has ended: " in err
    until(lambda: not folder.left_behind(), "processes were left behind")
    assert states(folder.trials())["Complete"] >= 3
