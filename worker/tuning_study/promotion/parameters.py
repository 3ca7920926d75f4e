"""Verified parameters as applications read them. The operator makes them, the command prints them. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tuning_study.api.objective import variable
from tuning_study.results.describe import parameter_text

PARAMETERS_KEY = "params.json"
ABOUT_KEY = "about.json"
NAME_VARIABLE = "TUNING_PARAMETERS_NAME"
"""By which a pod knows which parameters it serves with."""
VARIABLE_PREFIX = "TUNING_PARAM_"


@dataclass(frozen=True)
class VerifiedParameters:
    """What a round has found and verified."""

    study: str
    round: int
    parameters: Mapping[str, Any]
    about: Mapping[str, Any] = field(default_factory=dict)
    """Where they come from: trial, metrics, seed, versions, image, and why the round began. JSON values."""

    @property
    def name(self) -> str:
        """Of their ConfigMap: the same parameters of the same round have the same name."""
        return f"{self.study}-params-r{self.round}-{self.digest}"

    @property
    def digest(self) -> str:
        text = json.dumps(self.parameters, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8]

    @property
    def variables(self) -> dict[str, str]:
        """As a command's trial has them: TUNING_PARAM_<NAME>. Of two names that are one variable the last stands."""
        return {
            f"{VARIABLE_PREFIX}{variable(name)}": value if isinstance(value, str) else parameter_text(value)
            for name, value in self.parameters.items()
        }

    def data(self) -> dict[str, str]:
        """Of a ConfigMap."""
        told = {"study": self.study, "round": self.round, **self.about}
        return {
            PARAMETERS_KEY: json.dumps(dict(self.parameters), indent=1, sort_keys=True, ensure_ascii=False),
            ABOUT_KEY: json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False),
            NAME_VARIABLE: self.name,
            **self.variables,
        }

    def document(self) -> dict[str, Any]:
        """As the record keeps it; `read_document` reads it."""
        return {
            "study": self.study,
            "round": self.round,
            "parameters": dict(self.parameters),
            "about": dict(self.about),
        }


def read_document(document: Mapping[str, Any]) -> VerifiedParameters:
    """Raises KeyError for what `document` did not write."""
    return VerifiedParameters(
        document["study"], int(document["round"]), dict(document["parameters"]), dict(document["about"])
    )


def stable_name(study: str) -> str:
    """Of the ConfigMap with what is in production."""
    return f"{study}-params-stable"


def digest_of(name: str) -> str:
    """The digest in the name of a ConfigMap of verified parameters: equal for equal parameters of any round."""
    return name.rpartition("-")[2]
