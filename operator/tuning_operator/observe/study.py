"""Reads a TuningStudy as the API server shows it. Pure."""

from collections.abc import Mapping
from typing import Any

from tuning_kube import names
from tuning_kube.frozen import frozen_until
from tuning_operator.observe.observation import Study
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.status import read_status
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import read_spec


def read_study(body: Mapping[str, Any], known: Study | None = None) -> Study:
    """The study of `body`. The spec of `known` is taken over while its generation lasts: checking one costs time."""
    metadata = body["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if known is not None and (known.uid, known.generation) == (metadata["uid"], metadata["generation"]):
        spec, problems = known.spec, known.problems
    else:
        spec, problems = _checked(body.get("spec"))
    return Study(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        spec=spec,
        problems=problems,
        status=read_status(body.get("status") or {}),
        retune_request=annotations.get(names.RETUNE_ANNOTATION),
        promote_request=annotations.get(names.PROMOTE_ANNOTATION),
        rollback_request=annotations.get(names.ROLLBACK_ANNOTATION),
        frozen_until=frozen_until(annotations),
        queue_labels={key: labels[key] for key in names.QUEUE_LABELS if key in labels},
        version=version_of(body),
    )


def version_of(body: Mapping[str, Any]) -> int:
    """Versions of one object are numbers that grow: Kubernetes promises it since 1.35, and kept to it before."""
    return int(body["metadata"]["resourceVersion"])


def _checked(document: Any) -> tuple[TuningStudySpec | None, tuple[str, ...]]:
    try:
        return read_spec(document, served=True), ()
    except InvalidStudy as invalid:
        return None, tuple(invalid.problems)
