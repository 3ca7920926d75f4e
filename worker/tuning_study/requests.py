"""A request for a new round, as it stands in a study's annotation `tuning.dev/retune-requested`.

Written by the exporter, by `tuning retune`, or by hand; read by the operator, and by all who want to know whether it
was answered. Pure.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tuning_study.text import truncate

MANUAL: Final = "Manual"
ALERT: Final = "Alert"
SCHEDULE: Final = "Schedule"
DEGRADED_ALERT: Final = "TuningModelDegraded"
"""Of our own alerts the one that asks for a round."""
_BY_HAND = "requested by hand"
_MAX_TOKEN, _MAX_REASON, _MAX_TRIGGER = 256, 256, 64  # characters


@dataclass(frozen=True)
class RetuneRequest:
    """The token names the cause: the operator starts no second round for the token that started the last."""

    token: str
    reason: str = _BY_HAND
    trigger: str = MANUAL
    """Who asks. What `spec.retune.triggers` does not list, a person excepted, is refused."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    digest: str | None = field(default=None, compare=False)
    """Of the annotation that holds it; None for one that the operator makes itself."""

    def to_annotation(self, received: str) -> str:
        """The annotation's value. `received`, a time, makes the same request visible when it is made again."""
        document = {"token": self.token, "trigger": self.trigger, "reason": self.reason}
        return json.dumps({**document, "evidence": dict(self.evidence), "received": received})

    @classmethod
    def from_annotation(cls, value: str) -> "RetuneRequest":
        """Of JSON `{token, reason, trigger, evidence}`; any other value is a token. Texts are cut to what is kept."""
        try:
            document = json.loads(value)
        except ValueError:
            document = None
        if not isinstance(document, dict) or not document.get("token"):
            return cls(truncate(value, _MAX_TOKEN), digest=annotation_digest(value))
        evidence = document.get("evidence")
        return cls(
            token=truncate(str(document["token"]), _MAX_TOKEN),
            reason=truncate(str(document.get("reason") or _BY_HAND), _MAX_REASON),
            trigger=truncate(str(document.get("trigger") or MANUAL), _MAX_TRIGGER),
            evidence={str(key): str(entry) for key, entry in evidence.items()} if isinstance(evidence, dict) else {},
            digest=annotation_digest(value),
        )


def annotation_digest(value: str) -> str:
    """Tells one value of the annotation from the next; `status.retune.lastRequest` holds that of the last one read."""
    return hashlib.sha256(value.encode(errors="replace")).hexdigest()[:16]


def unanswered(value: str | None, last_request: str | None) -> RetuneRequest | None:
    """The request that `value`, the annotation's, holds, unless the operator has read it.

    `last_request` is `status.retune.lastRequest`. Who writes over such a request makes it lost.
    """
    if value is None or annotation_digest(value) == last_request:
        return None
    return RetuneRequest.from_annotation(value)
