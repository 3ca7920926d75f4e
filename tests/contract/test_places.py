"""`tuning run` with the embedded PostgreSQL, wherever it is started, by whomever, and in whatever terminal."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

STUDY = """\
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata: {name: place}
spec:
  metrics: [{name: score, direction: Maximize}]
  parameters: [{name: mood, type: Categorical, values: ["→ 💥", "é"]}]
  objective: {command: {command: [sh, -c, 'echo score=1']}}
  budget: {trials: 2}
"""
NOBODY = 65534


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that any user may enter; pytest's own are the user's alone."""
    folder = Path(tempfile.mkdtemp(prefix="place-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def interpreter(user: int | None) -> tuple[list[str], dict[str, str]]:
    """A Python that the user may run, with this one's packages."""
    if user is None or _may_run(sys.executable, user, {}):
        return [sys.executable], {}
    other = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    env = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if not _may_run(other, user, env):
        pytest.skip("another user may not read this Python's packages")
    return [other], env


def _may_run(program: str, user: int, env: dict[str, str]) -> bool:
    try:
        test = [program, "-c", "import tuning_cli, optuna, psycopg2"]
        ended = subprocess.run(test, env=os.environ | env, user=user, group=user, extra_groups=[], capture_output=True)
    except OSError:
        return False
    return ended.returncode == 0


def run(folder: Path, *, user: int | None = None, **env: str) -> "subprocess.CompletedProcess[bytes]":
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    python, packages = interpreter(user)
    who: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        [*python, "-m", "tuning_cli.app", "run", "study.yaml"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=os.environ | packages | {"HOME": os.fspath(folder)} | env,
        timeout=60,
        **who,
    )
    return done


@pytest.mark.parametrize(
    "name",
    [
        "My Projects",
        "it's",
        'say "so"',
        "$HOME",
        "`date`",
        "a,b",
        "Ünï😀",
        "-o",
        "x" * 200,
        "deep/" * 30 + "er",
    ],
    ids=["space", "quote", "quotes", "dollar", "backtick", "comma", "unicode", "option", "long", "deep"],
)
def test_a_folder_may_have_any_name(place: Path, name: str) -> None:
    folder = place / name
    folder.mkdir(parents=True)
    done = run(folder)
    assert done.returncode == 0, done.stderr.decode()
    assert (folder / ".tuning" / "place.html").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="takes two users")
def test_a_second_user_of_the_machine_is_not_kept_out_by_the_first(place: Path) -> None:
    for user in (None, NOBODY):
        folder = place / str(user)
        folder.mkdir()
        if user is not None:
            os.chown(folder, user, user)
        done = run(folder, user=user)
        assert done.returncode == 0, done.stderr.decode()


@pytest.mark.skipif(os.geteuid() != 0, reason="takes two users")
def test_a_folder_that_one_may_not_write_says_so(place: Path) -> None:
    done = run(place, user=NOBODY)
    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[-1] == (
        f"error: cannot write in {place}/.tuning (permission denied): start it in a folder that you may write"
    )


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "no_SUCH.locale"},
        {"TERM": "dumb", "COLUMNS": "20"},
    ],
    ids=["ascii", "latin-1", "C", "unknown locale", "narrow"],
)
def test_a_terminal_that_lacks_characters_shows_others(place: Path, env: dict[str, Any]) -> None:
    done = run(place, **env)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert b"Traceback" not in done.stdout + done.stderr
    assert (place / ".tuning" / "place.html").exists()
    assert "💥" in (place / ".tuning" / "place.html").read_text(encoding="utf-8")


def test_a_folder_that_is_gone_says_so(place: Path) -> None:
    gone = place / "gone"
    script = f"cd '{gone}' && rmdir '{gone}' && '{sys.executable}' -m tuning_cli.app status --local"
    gone.mkdir()
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        2,
        "error: the folder that this terminal is in is gone: change to another\n",
    )
