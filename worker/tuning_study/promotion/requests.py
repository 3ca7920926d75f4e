"""What a person asks of a promotion, as it stands in a study's annotations. The command writes them, or anybody by
hand; the operator reads them. Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuning_study.requests import annotation_digest
from tuning_study.text import truncate

_BY_HAND = "a person"
_MAX_TEXT = 256  # characters
_ROUND = re.compile(r"r?([1-9][0-9]{0,8})")


@dataclass(frozen=True)
class PersonsRequest:
    """Promote the parameters of a round, or go back to those of before."""

    digest: str
    """Of the annotation, which tells one request from the next."""
    by: str = _BY_HAND
    reason: str = ""
    round: int | None = None
    """Whose parameters; None for the newest. Of no meaning for a rollback."""
    again: bool = False
    """Also parameters that were rolled back."""

    @property
    def who(self) -> str:
        return f"{self.by}: {self.reason}" if self.reason else self.by


def to_annotation(received: str, *, by: str, reason: str = "", round: int | None = None, again: bool = False) -> str:
    """The annotation's value. `received`, a time, makes the same request visible when it is made again."""
    told: dict[str, Any] = {"by": by, "reason": reason, "received": received}
    if round is not None:
        told["round"] = round
    if again:
        told["again"] = True
    return json.dumps(told)


def unanswered(value: str | None, last: str | None) -> PersonsRequest | None:
    """The request that an annotation holds, unless it is the one with the digest `last`, which has been read.

    By hand anything will do: a round such as r3, or any other word for the newest one.
    """
    if value is None or annotation_digest(value) == last:
        return None
    digest = annotation_digest(value)
    try:
        told = json.loads(value)
    except ValueError:
        told = None
    if not isinstance(told, Mapping):
        found = _ROUND.fullmatch(value.strip())
        return PersonsRequest(digest, round=int(found[1]) if found else None)
    found = _ROUND.fullmatch(str(told.get("round", "")))
    return PersonsRequest(
        digest,
        by=truncate(str(told.get("by") or _BY_HAND), _MAX_TEXT),
        reason=truncate(str(told.get("reason") or ""), _MAX_TEXT),
        round=int(found[1]) if found else None,
        again=told.get("again") is True,
    )
