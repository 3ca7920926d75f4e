"""What history would have a study try first, and why. Called by `tuning recommend`; runs nothing of the study but a
rehearsal on a few rows, by the program tuning_worker.recommend where the manifest is."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tuning_client.exceptions import WrongUse
from tuning_client.local import database
from tuning_client.local.studies import LOCAL
from tuning_client.studyfile import StudyFile
from tuning_client.target import Target, store_url
from tuning_client.worker_program import ask
from tuning_report.format import table
from tuning_report.known import control_lines, parameters_text
from tuning_study.round import resolve

_MOST_TOLD = 10
_UNBEGUN = 1_000_000  # no round of the store has this number, so that the study's own rounds are history too
_WORDS: Mapping[str, str] = {
    "logRows": "rows",
    "logColumns": "columns",
    "categorical": "share of text columns",
    "missing": "missing values",
    "logClasses": "classes",
    "imbalance": "imbalance",
    "skew": "skew",
    "kurtosis": "heavy tails",
    "correlation": "correlation of columns",
    "components": "principal components",
    "targetCorrelation": "correlation with the target",
}


def recommend(study: StudyFile, target: Target) -> dict[str, Any]:
    """The answer of tuning_worker.recommend: what a run would try first.

    Raises WrongUse for a study whose data no worker knows, TuningError where its pipeline cannot run.
    """
    spec = study.spec
    if spec.objective.sklearn is None:
        raise WrongUse(
            f"{study.name}: only the data of an sklearn objective can be compared: for others name studies in "
            "warmStart.studies"
        )
    resolved = resolve(spec, namespace=_namespace(target), name=study.name, uid="", number=_UNBEGUN, versions={})
    with _store(target) as url:
        request = {"round": resolved.manifest(), "store": url}
        found: dict[str, Any] = ask("tuning_worker.recommend", request, study.path.resolve().parent)
        return found


def lines(study: StudyFile, found: Mapping[str, Any]) -> list[str]:
    """For a terminal."""
    model = found["model"].rpartition(".")[2]
    told = [f"{study.name}: {model} on {_data(found['features'])}", ""]
    suggestions, neighbours, others = found["suggestions"], found["neighbours"], found["with_history"]
    if not suggestions and not others:
        return [*told, f"nothing is known of {model} here: no earlier study tuned it, and it has no built-in portfolio"]
    if suggestions:
        told += _points(suggestions)
    if others:
        told += ["", "with `warmStart: {history: {}}` it would be", "", *_points(others)]
    if neighbours:
        told += ["", *table([_neighbour(each) for each in neighbours[:_MOST_TOLD]]).splitlines()]
    if found["control"]:
        told += ["", *control_lines(found["control"])]
    return told


def _points(suggestions: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        {"order": place + 1, "parameters": parameters_text(entry["point"]), "why": entry["reason"]}
        for place, entry in enumerate(suggestions)
    ]
    return table(rows).splitlines()


def _data(features: Mapping[str, float]) -> str:
    rows, columns = round(10 ** features["logRows"]), round(10 ** features["logColumns"])
    classes = round(2 ** features["logClasses"]) if features["logClasses"] else 0
    return f"{rows} rows, {columns} columns" + (f", {classes} classes" if classes else "")


def _neighbour(each: Mapping[str, Any]) -> dict[str, object]:
    differs = ", ".join(_WORDS[name] for name in each["differences"][:3]) or "little"
    return {"earlier study": each["name"], "apart": each["distance"], "differs in": differs}


def _namespace(target: Target) -> str:
    """Whose studies are earlier ones."""
    if not target.on_cluster:
        return LOCAL
    from tuning_client.cluster import client

    return client.connect(target.context, target.namespace).namespace


@contextmanager
def _store(target: Target) -> Iterator[str | None]:
    """The URL of the store with the earlier studies; None where no study has run yet."""
    if not target.on_cluster and target.storage is None and not database.exists(target.folder):
        yield None
        return
    with store_url(target) as url:
        yield url
