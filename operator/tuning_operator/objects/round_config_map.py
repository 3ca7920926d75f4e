"""Builds the ConfigMap of a resolved round: what the workers read, and, with the image, what repeats the round."""

import json
from typing import Any

from tuning_kube import names
from tuning_study.round import ResolvedRound

ROUND_KEY = "round.json"


def round_config_map(resolved: ResolvedRound) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": names.round_name(resolved.name, resolved.number),
            "namespace": resolved.namespace,
            "labels": names.labels(resolved.name, resolved.number),
            "ownerReferences": [names.owner(resolved.name, resolved.uid)],
        },
        "immutable": True,
        "data": {ROUND_KEY: json.dumps(resolved.manifest(), indent=1)},
    }
