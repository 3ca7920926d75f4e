"""Says before any trial why a command could not be started."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from tuning_worker.hints import did_you_mean

_INTERPRETER = re.compile(r"(?:python|pypy)[\d.]*|(?:ba|da|z|k)?sh|Rscript|perl|ruby|julia|node|php|lua")
_BY_SUFFIX = {".py": "python", ".sh": "sh", ".R": "Rscript", ".r": "Rscript", ".jl": "julia", ".js": "node"}
_MAGIC = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ")


def with_interpreter(command: Sequence[str], interpreter: str | None) -> list[str]:
    """The command with `python` as its program replaced by this interpreter, if there is one to replace it."""
    name, *rest = command
    return [interpreter if interpreter and name == "python" else name, *rest]


def problem(command: Sequence[str]) -> str | None:
    """What is wrong with the program, or with the script that it is to interpret, and what to write instead."""
    name, *rest = command
    found = shutil.which(name)
    if found is None:
        return _not_runnable(name)
    return _not_executable_text(name, Path(found)) or _missing_script(name, rest)


def _not_runnable(name: str) -> str:
    path = Path(name)
    image = "give its full path, or an image that has it in workers.image"
    if os.sep not in name:
        other = {"python": "python3", "python3": "python", "R": "Rscript"}.get(name)
        if other is not None and shutil.which(other) is not None:
            return f"{name!r} is not an executable in the worker's image, but {other!r} is: write {other}"
        if path.is_file():
            return f"{name!r} is not on the PATH, but a file of that name is in {Path.cwd()}: {_how_to_run(path, name)}"
        return f"{name!r} is not an executable in the worker's image; {image}"
    if path.is_dir():
        return f"{name!r} is a folder, not a program: name the program in it"
    if path.is_file():
        return f"{name!r} is not executable: {_how_to_run(path, name)}"
    return f"{name!r} is not an executable in the worker's image: there is no such file{_beside(path)}; {image}"


def _how_to_run(path: Path, name: str) -> str:
    shown = name if os.sep in name else f"./{name}"
    return f"write `command: [{_interpreter(path)}, {name}]`, or `chmod +x` it and write {shown}"


def _interpreter(path: Path) -> str:
    wanted = _BY_SUFFIX.get(path.suffix, "sh")
    return "python3" if wanted == "python" and shutil.which("python") is None else wanted


def _not_executable_text(name: str, path: Path) -> str | None:
    """What the kernel would refuse: no program of this machine, and no script with a line that names one."""
    try:
        with path.open("rb") as file:
            first = file.read(256)
    except OSError:  # it may be executed, but not read
        return None
    if not first.startswith(b"#!"):
        return (
            None
            if first.startswith(_MAGIC)
            else (
                f"{name!r} has no #! line that names its interpreter: write `command: [{_interpreter(path)}, {name}]`"
            )
        )
    line = first[2:].split(b"\n")[0]
    if line.endswith(b"\r"):
        return f"{name!r} has Windows line ends, with which its #! line names no program: save it with Unix line ends"
    words = line.decode(errors="replace").split()
    if words and not os.access(words[0], os.X_OK):
        return f"{name!r} names the interpreter {words[0]} in its #! line, and that is not there: correct the line"
    if len(words) == 2 and Path(words[0]).name == "env" and shutil.which(words[1]) is None:
        return f"{name!r} names the interpreter {words[1]} in its #! line, and that is not there: correct the line"
    return None


def _missing_script(name: str, arguments: Sequence[str]) -> str | None:
    """A script that an interpreter is given first and that is not there; options and parameters are not judged."""
    if not arguments or not _INTERPRETER.fullmatch(Path(name).name):
        return None
    script = arguments[0]
    if script.startswith("-") or "{" in script or not Path(script).suffix:
        return None
    if Path(script).exists() or shutil.which(script, mode=os.F_OK) is not None:  # shells search the PATH too
        return None
    return f"{script!r} is not there; the worker looks in {Path.cwd()}{_beside(Path(script))}"


def _beside(path: Path) -> str:
    try:
        return did_you_mean(path.name, os.listdir(path.parent))
    except OSError:
        return ""
