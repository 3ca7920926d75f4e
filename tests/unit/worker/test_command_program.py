"""A command that could never start is told before any trial, with what to write instead."""

import sys
from pathlib import Path

import pytest

from builders import make_spec
from tuning_worker.exceptions import ObjectiveRejected
from tuning_worker.objectives.command import Command
from tuning_worker.objectives.program import with_interpreter

from .runs import make_run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the worker runs; PATH holds `python3`, `sh` and `env`, and no `python`."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(sys.executable)
    for name in ("sh", "env"):
        (programs / name).symlink_to(f"/usr/bin/{name}" if name == "env" else "/bin/sh")
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*command: str, args: tuple[str, ...] = ()) -> None:
    spec = make_spec(objective={"command": {"command": list(command), "args": list(args)}})
    assert spec.objective.command is not None
    Command.load(spec.objective.command, spec)


def script(path: Path, text: str = "#!/bin/sh\n", mode: int = 0o755) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


@pytest.mark.parametrize(
    ("command", "args"),
    [
        (("sh",), ()),
        ((sys.executable,), ()),
        (("./train.sh",), ()),
        (("sh", "-c", "exit 0"), ()),
        (("python3", "train.py"), ()),
        (("python3",), ("train.py", "--x={x}")),
        (("python3", "-m", "train"), ()),
        (("python3", "-W", "ignore", "other.py"), ()),
        (("python3",), ("{script}.py",)),
        (("python3", "folder.d"), ()),
        (("sh", "onpath.sh"), ()),
        (("env", "missing.py"), ()),
    ],
)
def test_what_can_be_started_is_accepted(folder: Path, command: tuple[str, ...], args: tuple[str, ...]) -> None:
    script(folder / "train.sh")
    script(folder / "train.py", "")
    script(folder / "bin" / "onpath.sh")
    (folder / "folder.d").mkdir()
    check(*command, args=args)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            ("python", "train.py"),
            "'python' is not an executable in the worker's image, but 'python3' is: write python3",
        ),
        (("no-such-program",), "'no-such-program' is not an executable in the worker's image; give its full path"),
        (("/nowhere/train",), "'/nowhere/train' is not an executable in the worker's image: there is no such file"),
        (("./trian.sh",), ".*there is no such file; did you mean train.sh?"),
        (
            ("train.sh",),
            r"'train.sh' .* .* is in .*: write `command: \[sh, train.sh\]`, or .* write ./train.sh",
        ),
        (("./plain.py",), r"'./plain.py' is not executable: write `command: \[python3, ./plain.py\]`"),
        (("./code",), "'./code' is a folder, not a program"),
        (("./noshebang.sh",), r"'./noshebang.sh' has no #! line .*: write `command: \[sh, ./noshebang.sh\]`"),
        (("./empty",), "'./empty' has no #! line"),
        (("./windows.sh",), "'./windows.sh' has Windows line ends.*: save it with Unix line ends"),
        (("./gone.sh",), "'./gone.sh' names the interpreter /nowhere/sh in its #! line, and that is not there"),
        (("./env.py",), "'./env.py' names the interpreter python in its #! line, and that is not there"),
        (("python3", "trian.py"), "'trian.py' is not there; the worker looks in .*; did you mean .*train.py"),
        (("sh", "code/run.sh"), "'code/run.sh' is not there"),
    ],
)
def test_what_cannot_be_started_rejects_the_study(folder: Path, command: tuple[str, ...], message: str) -> None:
    script(folder / "train.sh")
    script(folder / "train.py")
    script(folder / "plain.py", mode=0o644)
    script(folder / "noshebang.sh", "echo accuracy=0.9\n")
    script(folder / "empty", "")
    script(folder / "windows.sh", "#!/bin/sh\r\necho\r\n")
    script(folder / "gone.sh", "#!/nowhere/sh\n")
    script(folder / "env.py", "#!/usr/bin/env python\n")
    (folder / "code").mkdir()
    with pytest.raises(ObjectiveRejected, match=f"objective.command: {message}"):
        check(*command)


def test_the_script_may_be_the_first_of_the_args() -> None:
    with pytest.raises(ObjectiveRejected, match=r"'trian\.py' is not there"):
        check("python3", args=("trian.py", "--x={x}"))


def test_python_is_the_interpreter_that_runs_tuning_on_a_laptop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TUNING_PYTHON", sys.executable)
    objective = {"command": {"command": ["python", "-c", "print('accuracy=0.5')"]}}
    spec = make_spec(objective=objective)
    assert spec.objective.command is not None
    run = make_run(tmp_path, objective=objective)
    assert Command.load(spec.objective.command, spec)(run) == {"accuracy": 0.5}


@pytest.mark.parametrize("program", ["python3", "./python", "sh"])
def test_other_programs_are_found_on_the_path(program: str) -> None:
    assert with_interpreter([program, "train.py"], "/venv/bin/python") == [program, "train.py"]
