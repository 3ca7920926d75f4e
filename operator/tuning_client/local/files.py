"""The files of this machine that a study's objective is made of, so that a run notices when one of them has changed."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from modulefinder import ModuleFinder
from pathlib import Path

from tuning_client.studyfile import StudyFile
from tuning_study.api.objective import SklearnObjective

_SOURCES = frozenset(
    [
        ".cfg",
        ".ini",
        ".ipynb",
        ".jl",
        ".js",
        ".lua",
        ".m",
        ".mjs",
        ".pl",
        ".py",
        ".r",
        ".rb",
        ".sh",
        ".toml",
        ".ts",
        ".yaml",
        ".yml",
    ]
)
"""Files of a command that count. Others may be what it writes: logs, models, predictions."""
_WHOLE = 64 * 1024 * 1024  # bytes; of a longer file, a data set, size and time of change tell enough


def digests(study: StudyFile) -> dict[str, str]:
    """A digest of each file by its path from the manifest's folder; a ConfigMap's files by their names.

    Scripts and modules count with all that they import from the manifest's folder, and data sets that a table names.
    Installed packages do not: their versions are kept with the round.
    """
    if study.digests is not None:
        return dict(study.digests)
    folder = study.path.resolve().parent
    found = {f"configMap/{name}": _digest_of(content) for name, content in study.code.items()}
    return found | _digests(_objective_files(study, folder), folder)


def module_files(module: str, folder: Path) -> list[Path]:
    """The module's file in `folder` and those that it imports from there; nothing for one that lies elsewhere."""
    file = _module_file(module, folder)
    return sorted(_with_imports(file, folder)) if file is not None else []


def module_digests(module: str, folder: Path) -> dict[str, str]:
    """The same of a module in `folder` with all that it imports from there; nothing of one that lies elsewhere."""
    return _digests(module_files(module, folder), folder)


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Names of the files that are not what they were, gone or new."""
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def _digests(paths: Iterable[Path], folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder) if path.is_relative_to(folder) else path): _digest(path) for path in sorted(paths)
    }


def _objective_files(study: StudyFile, folder: Path) -> set[Path]:
    objective = study.spec.objective
    if objective.command is not None:
        named = _named_files([*objective.command.command, *objective.command.args], folder)
        return {path for file in named for path in _with_imports(file, folder)}
    if objective.python is not None:
        module = _module_file(objective.python.function.partition(":")[0], folder)
        return _with_imports(module, folder) if module is not None and not study.code else set()
    assert objective.sklearn is not None  # a rule of Objective
    return set(_files_of_pipeline(objective.sklearn, folder))


def _files_of_pipeline(pipeline: SklearnObjective, folder: Path) -> Iterator[Path]:
    table = pipeline.dataset.csv or pipeline.dataset.parquet
    if table is not None and (path := folder / table.path).is_file():
        yield path.resolve()
    for step in pipeline.steps:
        module = _module_file(step.class_.rpartition(".")[0], folder)
        if module is not None:
            yield from _with_imports(module, folder)


def _named_files(words: list[str], folder: Path) -> Iterator[Path]:
    """Words of a command that are sources in the folder: `train.py`, `--config=model.yaml`."""
    for word in words:
        for name in {word, word.partition("=")[2]} - {""}:
            try:
                path = (folder / name).resolve()
                if path.suffix.lower() in _SOURCES and path.is_file() and path.is_relative_to(folder):
                    yield path
            except (OSError, ValueError):  # no name of a file: too long, or with a zero byte
                continue


def _module_file(module: str, folder: Path) -> Path | None:
    place = folder.joinpath(*module.split("."))
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file():
            return path.resolve()
    return None


def _with_imports(file: Path, folder: Path) -> set[Path]:
    """The file, and of a Python file the modules of the folder that it imports, in turn."""
    if file.suffix != ".py":
        return {file}
    finder = ModuleFinder(path=[str(file.parent), str(folder)])
    try:
        finder.run_script(str(file))
    except (SyntaxError, UnicodeDecodeError, RecursionError, OSError, ValueError, AttributeError):
        return {file}  # the objective will not run either, or finds its modules in another way
    own = {Path(module.__file__).resolve() for module in finder.modules.values() if module.__file__}  # type: ignore[attr-defined]
    return {file} | {path for path in own if path.is_relative_to(folder)}


def _digest(path: Path) -> str:
    try:
        about = path.stat()
        if about.st_size > _WHOLE:
            return f"{about.st_size} bytes of {about.st_mtime_ns}"
        return _digest_of(path.read_bytes())
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
