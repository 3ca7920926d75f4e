"""The files that a round has in `.tuning`, beside the store: its record, its code, its logs, its checkpoints."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from tuning_study.round import ResolvedRound


def files_of(resolved: ResolvedRound) -> str:
    """What the names of the round's own files in the folder begin with."""
    return f"{resolved.name}-r{resolved.number}"


def write_round(folder: Path, resolved: ResolvedRound) -> Path:
    path = folder / "rounds" / f"{files_of(resolved)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(resolved.manifest(), indent=2))
    return path.resolve()


def code_folder(folder: Path, code: Mapping[str, bytes], resolved: ResolvedRound) -> dict[str, str]:
    """The files of the study's ConfigMap in a folder, and what tells workers of it."""
    if not code:
        return {}
    path = folder / "code" / files_of(resolved)
    shutil.rmtree(path, ignore_errors=True)  # of an earlier run, whose ConfigMap may have held other files
    path.mkdir(parents=True)
    for name, content in code.items():
        (path / name).write_bytes(content)
    return {"TUNING_CODE_DIR": str(path.resolve())}


def remove_checkpoints(folder: Path, resolved: ResolvedRound) -> None:
    """Of a round in which no trial goes on any more."""
    shutil.rmtree(folder / "checkpoints" / (resolved.uid or resolved.name), ignore_errors=True)


def remove_files(folder: Path, resolved: ResolvedRound) -> None:
    """All that the round has left."""
    remove_checkpoints(folder, resolved)
    for kind in ("code", "artifacts"):
        shutil.rmtree(folder / kind / files_of(resolved), ignore_errors=True)
    (folder / "rounds" / f"{files_of(resolved)}.json").unlink(missing_ok=True)
    (folder / f"{resolved.name}.html").unlink(missing_ok=True)
    for log in (folder / "logs").glob(f"{files_of(resolved)}-worker-*.log"):
        log.unlink(missing_ok=True)
