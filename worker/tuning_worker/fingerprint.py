"""Tells a data set from another, or from what it was before: for the record, and for a model that is fitted later."""

import hashlib
from contextlib import suppress
from pathlib import Path

import optuna

from tuning_study.api.dataset import Dataset
from tuning_study.attributes import FINGERPRINT_ATTRIBUTE
from tuning_study.round import ResolvedRound


def fingerprint(dataset: Dataset) -> str:
    """Raises OSError for what is no file here."""
    table = dataset.csv or dataset.parquet
    if table is None:
        return f"scikit-learn's {dataset.load}"
    with Path(table.path).open("rb") as file:
        return f"{Path(table.path).name}, SHA-256 {hashlib.file_digest(file, 'sha256').hexdigest()}"


def keep_fingerprint(study: optuna.Study, resolved: ResolvedRound) -> None:
    """With the round, once for all workers. Nothing of data that an objective of the user's own reads, nor of a folder
    or a URL."""
    objective = resolved.spec.objective.sklearn
    if objective is None or FINGERPRINT_ATTRIBUTE in study.user_attrs:
        return
    with suppress(OSError):
        study.set_user_attr(FINGERPRINT_ATTRIBUTE, fingerprint(objective.dataset))
