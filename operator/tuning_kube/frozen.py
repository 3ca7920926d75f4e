"""Until when a study is frozen, as its annotation says. Read by the operator, and by the dashboard that tells it."""

from collections.abc import Mapping
from datetime import UTC, datetime

from tuning_kube.names import FROZEN_ANNOTATION

FOR_EVER = datetime.max.replace(tzinfo=UTC)


def frozen_until(annotations: Mapping[str, str]) -> datetime | None:
    """None for a study that never was frozen. Of an annotation that is no time nobody knows when it ends."""
    text = annotations.get(FROZEN_ANNOTATION)
    if text is None:
        return None
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        return FOR_EVER
    return told if told.tzinfo is not None else told.replace(tzinfo=UTC)
