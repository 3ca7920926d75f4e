"""Verified parameters of a study on a cluster: those in production, or of a round."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from tuning_client.cluster import views
from tuning_client.cluster.client import Study
from tuning_client.exceptions import TuningError, WrongUse
from tuning_study.promotion.parameters import ABOUT_KEY, PARAMETERS_KEY, stable_name


class ConfigMapAccess(Protocol):
    """The part of client.Cluster that is needed here."""

    def study(self, name: str) -> Study: ...

    def config_map(self, name: str) -> Mapping[str, Any]: ...


def config_map(cluster: ConfigMapAccess, study: str, round: int | None) -> dict[str, Any]:
    """The ConfigMap in production as a manifest of one's own; with `round`, filled with that round's parameters."""
    found = cluster.config_map(_name(cluster, study, round))
    kept = {key: value for key, value in found["metadata"].get("labels", {}).items() if "managed-by" not in key}
    metadata = {"name": stable_name(study), "namespace": found["metadata"]["namespace"], "labels": kept}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(found["data"])}


def in_production(cluster: ConfigMapAccess, study: str) -> dict[str, Any]:
    """Trial, metrics and parameters of what is in production."""
    data = cluster.config_map(_name(cluster, study, None))["data"]
    about = json.loads(data[ABOUT_KEY])
    return {
        "round": about["round"],
        "trial": about["trial"],
        "metrics": about["metrics"],
        "parameters": json.loads(data[PARAMETERS_KEY]),
    }


def _name(cluster: ConfigMapAccess, study: str, round: int | None) -> str:
    status = views.status_of(cluster.study(study))
    if round is None:
        if status.promotion is None or status.promotion.stable is None:
            raise TuningError(f"{study}: nothing is in production yet; `tuning promote {study}` brings it there")
        return stable_name(study)
    for entry in status.rounds:
        if entry.round == round and entry.parameters is not None:
            return entry.parameters
    known = [str(entry.round) for entry in status.rounds if entry.parameters is not None]
    told = f"those of {', '.join(known)} are" if known else "no round is"
    raise WrongUse(f"--round: the parameters of round {round} are not verified, or no longer kept; {told}")
