"""Asks a study on a cluster for a new round, and waits for the operator's answer. Called by `tuning retune`."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from tuning_client.cluster import views
from tuning_client.cluster.client import Study
from tuning_client.exceptions import ClusterError, TuningError
from tuning_kube.names import RETUNE_ANNOTATION
from tuning_study.requests import RetuneRequest

_LOOKS_EVERY = 0.3  # seconds


class StudyAccess(Protocol):
    """The part of client.Cluster that a request needs."""

    def study(self, name: str) -> Study: ...

    def change_unchanged(self, study: Study, patch: Mapping[str, Any]) -> bool: ...


def request_round(cluster: StudyAccess, name: str, request: RetuneRequest, patience: float) -> str:
    """What the operator did with the request, a sentence. `patience` is in seconds.

    Raises TuningError when it starts no round, ClusterError when there is no answer in time.
    """
    until = time.monotonic() + patience
    asked, study = False, None
    while time.monotonic() < until:
        study = cluster.study(name)
        if not asked:
            asked = _ask(cluster, study, request)
        elif (decided := views.decision(views.status_of(study), request.token)) is not None:
            taken, sentence = decided
            if not taken:
                raise TuningError(sentence)
            return sentence
        elif not views.awaits_answer(study, request.token):
            raise TuningError("not answered: another request took its place; `tuning status` shows what became of it")
        time.sleep(_LOOKS_EVERY)
    if asked and study is not None and (moving := _production_changes(study)):
        raise ClusterError(
            f"asked; a round begins once production has changed: {moving}. `tuning status {name}` shows the answer"
        )
    if not asked:
        raise ClusterError(
            f"not asked: another request waits for the operator's answer, and got none within {patience:.0f}s: "
            "is the operator running?"
        )
    raise ClusterError(
        f"asked, and not answered within {patience:.0f}s: is the operator running? "
        f"The request stays; `tuning status {name}` shows the answer"
    )


def _production_changes(study: Study) -> str:
    """What is in the way of a new round until it is over; empty where nothing is."""
    promotion = views.status_of(study).promotion
    return f"{promotion.state}: {promotion.message}" if promotion is not None and promotion.is_moving else ""


def _ask(cluster: StudyAccess, study: Study, request: RetuneRequest) -> bool:
    """Write the request, unless it would hide one that the operator has not read yet."""
    if views.waiting_request(study) is not None:
        return False
    value = request.to_annotation(datetime.now(UTC).isoformat())
    return cluster.change_unchanged(study, {"metadata": {"annotations": {RETUNE_ANNOTATION: value}}})
