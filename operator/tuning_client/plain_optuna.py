"""Studies that plain Optuna programs have made, read as rounds: for commands that look at any store."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalRedisBackend

from tuning_client.exceptions import WrongUse
from tuning_report.round_history import History
from tuning_store.urls import driver_url, is_redis
from tuning_store.values import Progress, count
from tuning_study.api.spec import TuningStudySpec
from tuning_study.attributes import ROUND_ATTRIBUTE
from tuning_study.budget import RoundLimits
from tuning_study.round import ResolvedRound

JOURNAL = "journal:///"
_ENDLESS = 1_000_000
_UNNAMED = "unnamed:unnamed"  # the objective is the program's own affair


@contextmanager
def storage(url: str) -> Iterator[BaseStorage]:
    """Optuna's storage behind the URL of a database, of a Redis, or of a journal's file (`journal:///FILE`)."""
    if url.startswith(JOURNAL):
        path = Path(url.removeprefix(JOURNAL))
        if not path.is_file():
            raise WrongUse(f"--storage: there is no {path}")
        yield JournalStorage(JournalFileBackend(str(path)))
    elif is_redis(url):
        yield JournalStorage(JournalRedisBackend(url))
    else:
        from optuna.storages import RDBStorage

        opened = RDBStorage(driver_url(url), skip_compatibility_check=True, skip_table_creation=True)
        try:
            yield opened
        finally:
            opened.remove_session()
            opened.engine.dispose()


def names(storage: BaseStorage) -> list[str]:
    """The studies that are no rounds of ours."""
    return sorted(s.study_name for s in storage.get_all_studies() if ROUND_ATTRIBUTE not in s.user_attrs)


def read(storage: BaseStorage, name: str) -> History:
    """The study as a round. Its space and budget are not known; who ran a trial is not either."""
    study = optuna.load_study(study_name=name, storage=storage)
    trials = study.get_trials(deepcopy=False)
    counts = count(trials)
    began = min((trial.datetime_start for trial in trials if trial.datetime_start), default=datetime.now())
    ended = max((trial.datetime_complete for trial in trials if trial.datetime_complete), default=None)
    return History(
        resolved=ResolvedRound(namespace="", name=name, uid="", number=1, seed=0, spec=_spec(study)),
        progress=Progress(
            study=name,
            schema=None,
            owner="",
            digest="",
            counts=counts,
            limits=RoundLimits(trials=None if counts.running else counts.used, failed_trials=_ENDLESS),
            duration=None,
            detail=None,
            retain=True,
            started_at=began,
            last_finished_at=ended,
        ),
        trials=trials,
        workers={},
        failures=[],
        active=((ended or began) - began).total_seconds(),
        folder=None,
        versions={},
    )


def _spec(study: optuna.Study) -> TuningStudySpec:
    given = study.metric_names or (
        ["value"] if len(study.directions) == 1 else [f"value{index}" for index in range(len(study.directions))]
    )
    metrics = [
        {"name": _metric_name(name, index), "direction": "Maximize" if direction.name == "MAXIMIZE" else "Minimize"}
        for index, (name, direction) in enumerate(zip(given, study.directions, strict=True))
    ]
    return TuningStudySpec.model_validate(
        {"metrics": metrics, "objective": {"python": {"function": _UNNAMED}}, "budget": {"trials": 1}}
    )


def _metric_name(name: str, index: int) -> str:
    """As the manifest would take it."""
    plain = re.sub(r"[^A-Za-z0-9_./-]", "_", name)[:60]
    return plain if re.match(r"[A-Za-z_]", plain) else f"value{index}_{plain}".rstrip("_")
