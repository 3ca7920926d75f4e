"""What a worker is told by its environment."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from tuning_store import address
from tuning_study.round import ResolvedRound
from tuning_worker.exceptions import InvalidSettings


@dataclass(frozen=True)
class Settings:
    round: ResolvedRound
    store_url: str | Callable[[], str] = field(repr=False)
    """Of a mounted Secret it is read anew at each connection, so that a password may change while we run."""
    worker: str
    """Identity, recorded on each trial: the pod's name and uid, so that a replaced pod is another worker."""
    grace: timedelta = timedelta(seconds=20)
    """After SIGTERM a running trial may go on this long before it is given back."""
    heartbeat: timedelta = timedelta(seconds=5)
    """A worker is seen this often; also how soon it learns that the round is over."""
    stale_after: timedelta = timedelta(seconds=60)
    """A worker that was not seen for this long is taken for dead, and its trials are put back."""
    code: Path | None = None
    """Folder of a python objective's own modules."""
    checkpoints: Path = Path(tempfile.gettempdir()) / "tuning-checkpoints"
    """Holds a folder for each trial; survives the worker only where it is on a volume."""
    artifacts: Path = Path(tempfile.gettempdir()) / "tuning-artifacts"
    """The same for what trials leave behind."""


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Raises InvalidSettings, naming the variable."""
    given = {
        "grace": _seconds(environment, "TUNING_GRACE_SECONDS"),
        "heartbeat": _seconds(environment, "TUNING_HEARTBEAT_SECONDS"),
        "stale_after": _seconds(environment, "TUNING_SILENCE_SECONDS"),
        "code": _path(environment, "TUNING_CODE_DIR"),
        "checkpoints": _path(environment, "TUNING_CHECKPOINT_ROOT"),
        "artifacts": _path(environment, "TUNING_ARTIFACTS_ROOT"),
    }
    return Settings(
        round=_read_round(Path(_required(environment, "TUNING_ROUND_FILE"))),
        store_url=_store_url(environment),
        worker=_required(environment, "TUNING_WORKER"),
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )


def _store_url(environment: Mapping[str, str]) -> str | Callable[[], str]:
    file = _path(environment, "TUNING_STORE_URL_FILE")
    return partial(address.read, file) if file is not None else _required(environment, "TUNING_STORE_URL")


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise InvalidSettings(f"the environment variable {name} is not set")
    return value


def _seconds(environment: Mapping[str, str], name: str) -> timedelta | None:
    text = environment.get(name)
    try:
        return timedelta(seconds=float(text)) if text else None
    except (ValueError, OverflowError) as error:
        raise InvalidSettings(f"{name} is {text!r}; write a number of seconds") from error


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    return Path(environment[name]) if environment.get(name) else None


def _read_round(path: Path) -> ResolvedRound:
    try:
        return ResolvedRound.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError, ValidationError) as error:
        raise InvalidSettings(f"TUNING_ROUND_FILE {path} is not a resolved round: {error}") from error
