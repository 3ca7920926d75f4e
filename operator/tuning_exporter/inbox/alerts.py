"""Alertmanager's webhook (version 4) as what became of which study's alerts. Pure."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from tuning_store.production import AlertSighting
from tuning_study.requests import DEGRADED_ALERT

MAX_ALERTS = 5000
_MAX_EVIDENCE = 2000  # characters of one name or value
_MAX_ENTRIES = 8  # of evidence
_MAX_REASON = 256  # characters
_OURS = "Tuning"  # what the names of our own alerts begin with; all but one warn, and ask for nothing
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")  # of an object of Kubernetes
Study = tuple[str, str]
"""Namespace and name."""


class Alert(BaseModel):
    """One alert of a webhook."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    starts_at: datetime | None = Field(None, alias="startsAt")

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "alert")

    @property
    def key(self) -> str:
        """The same for each delivery of one alert, whichever Alertmanager sends it, and whenever it began."""
        return hashlib.sha256(str(sorted(self.labels.items())).encode(errors="replace")).hexdigest()[:32]

    @property
    def reason(self) -> str:
        summary = self.annotations.get("summary") or self.annotations.get("description")
        return (f"{self.name}: {summary}" if summary else self.name)[:_MAX_REASON]

    @property
    def evidence(self) -> Mapping[str, str]:
        entries = list(self.annotations.items())[:_MAX_ENTRIES]
        return {key[:_MAX_EVIDENCE]: value[:_MAX_EVIDENCE] for key, value in entries}

    def began(self, now: datetime) -> datetime:
        """An alert without a beginning, or with one that is yet to come, begins now."""
        if self.starts_at is None:
            return now
        began = self.starts_at if self.starts_at.tzinfo is not None else self.starts_at.replace(tzinfo=UTC)
        return min(began, now)


class Webhook(BaseModel):
    """The body that Alertmanager posts."""

    version: Literal["4"]
    alerts: list[Any] = Field(max_length=MAX_ALERTS)
    """Each is read by itself, so that one that is odd takes no other with it."""
    truncated_alerts: int = Field(0, alias="truncatedAlerts", ge=0)
    """Those that Alertmanager left out, by its receiver's `max_alerts`."""


@dataclass(frozen=True)
class Inbox:
    """The alerts of a webhook by the study that they name, and a sentence for each that is no cause to tune one."""

    alerts: Mapping[Study, Sequence[Alert]] = field(default_factory=dict)
    ignored: Sequence[str] = ()
    malformed: Sequence[str] = ()


def sort_out(webhook: Webhook) -> Inbox:
    alerts: dict[Study, list[Alert]] = defaultdict(list)
    ignored: list[str] = []
    malformed: list[str] = []
    for number, document in enumerate(webhook.alerts):
        try:
            alert = Alert.model_validate(document)
        except ValidationError as error:
            problem = error.errors()[0]
            malformed.append(f"alerts.{number}.{'.'.join(map(str, problem['loc']))}: {problem['msg']}")
            continue
        if sentence := _is_no_cause(alert):
            ignored.append(sentence)
        else:
            alerts[alert.labels["namespace"], alert.labels["study"]].append(alert)
    return Inbox(alerts, ignored, malformed)


def sightings(inbox: Inbox, uids: Mapping[Study, str], now: datetime) -> list[AlertSighting]:
    """What is to be stored of the alerts of those studies that exist: their uids are given."""
    return [
        AlertSighting(
            study=uids[study],
            namespace=study[0],
            key=alert.key,
            name=alert.name,
            reason=alert.reason,
            starts_at=alert.began(now),
            firing=alert.status == "firing",
            evidence=alert.evidence,
        )
        for study, alerts in inbox.alerts.items()
        if study in uids
        for alert in alerts
    ]


def _is_no_cause(alert: Alert) -> str | None:
    """Why the alert is no cause for a study to be tuned; None if it is."""
    namespace, study = alert.labels.get("namespace"), alert.labels.get("study")
    if not namespace or not study:
        return f"{alert.name}: no labels `namespace` and `study`; add them to the rule"
    if alert.name.startswith(_OURS) and alert.name != DEGRADED_ALERT:
        return f"{alert.name}: it warns, and asks for no round"
    if not (_NAME.fullmatch(namespace) and _NAME.fullmatch(study)):
        return f"{alert.name}: its labels `namespace` and `study` are no names of Kubernetes objects"
    return None
