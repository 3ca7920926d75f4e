"""Asks the operator to promote parameters or to go back, and waits for what comes of it. Called by `tuning promote` and
`tuning rollback`."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from tuning_client.cluster import views
from tuning_client.cluster.client import Study
from tuning_client.exceptions import ClusterError, TuningError, WrongUse
from tuning_kube.names import PROMOTE_ANNOTATION, ROLLBACK_ANNOTATION
from tuning_study.api.promotion_status import PromotionStatus
from tuning_study.promotion.requests import to_annotation
from tuning_study.requests import annotation_digest

Wish = Literal["promote", "rollback"]
_ANNOTATIONS = {"promote": PROMOTE_ANNOTATION, "rollback": ROLLBACK_ANNOTATION}
_LOOKS_EVERY = 0.3  # seconds


class StudyAccess(Protocol):
    """The part of client.Cluster that a request needs."""

    def study(self, name: str) -> Study: ...

    def change(self, name: str, patch: Mapping[str, Any]) -> Study: ...

    def who_am_i(self) -> str: ...


def ask(
    cluster: StudyAccess,
    name: str,
    wish: Wish,
    *,
    patience: float,
    reason: str = "",
    round: int | None = None,
    again: bool = False,
) -> str:
    """What came of it, a sentence. `patience` is in seconds, for the operator to answer and for pods to be rolled.

    Raises WrongUse where the study promotes nothing, TuningError where it is not done, ClusterError where there is no
    answer in time.
    """
    promotion = cluster.study(name)["spec"].get("promotion") or {"mode": "None"}
    if promotion.get("mode") == "None":
        raise WrongUse(f"{name} promotes nothing: add `promotion: {{mode: Manual}}` to its spec")
    value = to_annotation(datetime.now(UTC).isoformat(), by=cluster.who_am_i(), reason=reason, round=round, again=again)
    cluster.change(name, {"metadata": {"annotations": {_ANNOTATIONS[wish]: value}}})
    until, status = time.monotonic() + patience, None
    while time.monotonic() < until:
        status = views.status_of(cluster.study(name)).promotion
        if status is not None and _answered(status, wish) == annotation_digest(value) and not _goes_on(status):
            return _outcome(status, wish)
        time.sleep(_LOOKS_EVERY)
    if status is not None and _answered(status, wish) == annotation_digest(value):
        raise ClusterError(f"under way for {patience:.0f}s: {status.message}. `tuning status {name}` shows what comes")
    raise ClusterError(
        f"asked, and not answered within {patience:.0f}s: is the operator running? The request stays;"
        f" `tuning status {name}` shows the answer"
    )


def _goes_on(status: PromotionStatus) -> bool:
    """Whether the operator is still at it."""
    return status.is_moving or status.state in ("Candidate", "Staging")


def _answered(status: PromotionStatus, wish: Wish) -> str | None:
    return status.last_promote if wish == "promote" else status.last_rollback


def _outcome(status: PromotionStatus, wish: Wish) -> str:
    if status.answer:
        raise TuningError(status.answer)
    if wish == "promote" and status.state != "Stable":
        raise TuningError(f"{status.state}: {status.message}")
    return status.message
