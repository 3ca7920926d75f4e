"""A study that was defined in Python as Kubernetes objects: the TuningStudy, and a ConfigMap with its function."""

from collections.abc import Mapping
from typing import Any

from ruamel.yaml.scalarstring import LiteralScalarString

from tuning.shipping import FUNCTION, MODULE
from tuning_client.yaml import as_yaml
from tuning_study.api.resource import API_VERSION, KIND


def documents(name: str, definition: Mapping[str, Any], files: Mapping[str, str]) -> list[dict[str, Any]]:
    """The objects in the order in which they must be made. `files` are the modules of a function, if it is one."""
    study = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": definition}
    if not files:
        return [study]
    code = f"{name}-code"
    objective = {"python": {"function": f"{MODULE}:{FUNCTION}", "configMap": code}}
    study |= {"spec": {**definition, "objective": objective}}
    data = {file: LiteralScalarString(text) for file, text in files.items()}
    return [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": code}, "data": data}, study]


def as_manifest(objects: list[dict[str, Any]]) -> str:
    return "\n---\n".join(map(as_yaml, objects)) + "\n"
