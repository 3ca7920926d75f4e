"""Fits a trial of a cluster's study in the cluster, and writes the model's card here. Called by `tuning fit --to`."""

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit, urlunsplit

from optuna.trial import FrozenTrial

from tuning_client import model
from tuning_client.exceptions import WrongUse
from tuning_client.target import Target
from tuning_report.round_history import History


def on_cluster(
    target: Target, history: History, trial: FrozenTrial, to: str, data: Path | None = None
) -> tuple[str, Path]:
    """Where the model is, without what opens a signed URL, and its card. Raises WrongUse and TuningError."""
    from tuning_client.cluster import client, fit_job

    if not target.on_cluster:
        raise WrongUse("--to is for studies of a cluster: write the model of one of this machine with --out FILE")
    if data is not None:
        raise WrongUse("--to fits on the study's own data; --data FILE is for a fit on this machine: give one of them")
    fit_job.place_of(to)
    asked = model.request(history, trial)
    connection = client.connect(target.context, target.namespace)
    report = fit_job.run(connection, connection.study(history.resolved.name), history.resolved.number, asked, to)
    shown = to.partition("?")[0]
    card = Path(PurePosixPath(urlsplit(to).path).name or "model.joblib").with_suffix(".md")
    return shown, model.write_card(history, trial, shown, report, card)


def with_suffix(to: str, suffix: str) -> str:
    """s3://models/digits.joblib as s3://models/digits-7.joblib for the suffix -7."""
    parts = urlsplit(to)
    path = PurePosixPath(parts.path)
    if not suffix or not path.name:
        return to
    return urlunsplit(parts._replace(path=str(path.with_name(f"{path.stem}{suffix}{path.suffix}"))))
