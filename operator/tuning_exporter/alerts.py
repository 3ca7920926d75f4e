"""Alertmanager's webhook (version 4) as requests for new rounds. Pure: what to do about each alert, and why not."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field

_EVIDENCE_LENGTH = 2000
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")  # nothing else may become part of a request's path


class Alert(BaseModel):
    status: Literal["firing", "resolved"]
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    starts_at: str = Field("", alias="startsAt")
    fingerprint: str = ""


class Webhook(BaseModel):
    version: Literal["4"]
    alerts: list[Alert] = Field(max_length=1000)


@dataclass(frozen=True)
class RetuneRequest:
    """Ask `study` for a round. The token is the same however often Alertmanager delivers the same firing."""

    namespace: str
    study: str
    token: str
    reason: str
    evidence: Mapping[str, str]

    def annotation(self, received: str) -> str:
        """The annotation's value; `received` makes a repeated delivery visible as a new request of the same token."""
        return json.dumps(
            {
                "token": self.token,
                "trigger": "Alert",
                "reason": self.reason,
                "evidence": self.evidence,
                "received": received,
            }
        )


def requests(webhook: Webhook) -> tuple[list[RetuneRequest], list[str]]:
    """One request for each firing alert that names its study, and a sentence for each alert that asks for nothing."""
    found: list[RetuneRequest] = []
    ignored: list[str] = []
    for alert in webhook.alerts:
        name = alert.labels.get("alertname", "alert")
        if alert.status != "firing":
            ignored.append(f"{name}: resolved")
        elif not alert.labels.get("namespace") or not alert.labels.get("study"):
            ignored.append(f"{name}: no labels `namespace` and `study`; add them to the rule")
        elif not (_NAME.fullmatch(alert.labels["namespace"]) and _NAME.fullmatch(alert.labels["study"])):
            ignored.append(f"{name}: its labels `namespace` and `study` are no names of Kubernetes objects")
        else:
            found.append(_request(name, alert))
    return found, ignored


def _request(name: str, alert: Alert) -> RetuneRequest:
    firing = f"{alert.fingerprint}/{alert.starts_at}/{sorted(alert.labels.items())}"
    summary = alert.annotations.get("summary") or alert.annotations.get("description")
    return RetuneRequest(
        namespace=alert.labels["namespace"],
        study=alert.labels["study"],
        token=hashlib.sha256(firing.encode()).hexdigest()[:16],
        reason=(f"{name}: {summary}" if summary else name)[:256],
        evidence={
            key[:_EVIDENCE_LENGTH]: value[:_EVIDENCE_LENGTH] for key, value in list(alert.annotations.items())[:8]
        },
    )
