"""What a kubelet works out before it starts a container: its environment, its volumes and its command line.

A process has no mounts. So each volumeMount is a folder, and its mountPath is rewritten to that folder wherever it
stands in the values of env, in command, args and workingDir. Code with such a path of its own, and paths inside mounted
files, are not rewritten: pass paths by env or argument.
"""

from __future__ import annotations

import base64
import os
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

Object = dict[str, Any]
Fetch = Callable[[str, str], Awaitable[Object | None]]
"""Reads an object of the pod's namespace, given its plural resource and its name; None where there is none."""
Token = Callable[[Object], Awaitable[str]]
"""Requests a token of the pod's ServiceAccount, as a projected volume's serviceAccountToken asks for it."""


class NotReady(Exception):
    """The container has to wait: for an object which is not there yet, or for good; as a kubelet shows it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True)
class Launch:
    """A container ready to be started."""

    pod: Object
    container: str
    command: list[str]
    env: dict[str, str]
    cwd: Path
    log: Path

    def open_log(self) -> BinaryIO:
        return open(self.log, "ab")


async def prepare(
    pod: Object, container: Object, *, folder: Path, log: Path, volumes: Mapping[str, Path], fetch: Fetch,
    base_env: Mapping[str, str],
) -> Launch:  # fmt: skip
    """Resolve one container of a pod. Of this machine's environment only PATH comes through.

    Raises:
        NotReady: a Secret or ConfigMap is missing, or the container asks for what this node cannot give.
    """
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    mounts = _mounts(container, volumes)
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "TMPDIR": str(home)}
    env |= {"HOSTNAME": pod["metadata"]["name"], **base_env}
    env |= {name: mounts(value) for name, value in (await _environment(pod, container, fetch)).items()}
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    if not container.get("command"):
        raise NotReady("CreateContainerError", "there is no image here to take a command from")
    command = [expand(mounts(word), env) for word in words]  # in this order, as env is rewritten already
    if command[0] in ("python", "python3"):
        command[0] = sys.executable
    cwd = Path(mounts(container["workingDir"])) if container.get("workingDir") else home
    return Launch(pod=pod, container=container["name"], command=command, env=env, cwd=cwd, log=log)


async def fill_volumes(pod: Object, *, folder: Path, claims: Path, fetch: Fetch, token: Token) -> dict[str, Path]:
    """Write each volume of a pod as a folder (a hostPath stays where it is).

    A claim is one folder for all pods which name it, on all nodes: a ReadWriteMany volume that needs no binding.
    """
    volumes: dict[str, Path] = {}
    for volume in pod["spec"].get("volumes") or []:
        name = volume["name"]
        if "hostPath" in volume:
            volumes[name] = Path(volume["hostPath"]["path"])
            continue
        if "persistentVolumeClaim" in volume:
            target = claims / pod["metadata"]["namespace"] / volume["persistentVolumeClaim"]["claimName"]
        else:
            target = folder / "volumes" / name
        target.mkdir(parents=True, exist_ok=True)
        volumes[name] = target
        projected = "projected" in volume
        for source in volume["projected"].get("sources") or [] if projected else [volume]:
            for path, content in (await _files(pod, source, fetch, token)).items():
                file = target / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
    return volumes


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` as Kubernetes does: unknown names stay as they are, ``$$`` is one dollar."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else env.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^()]*)\)", value, text)


def _mounts(container: Object, volumes: Mapping[str, Path]) -> Callable[[str], str]:
    folders = {
        mount["mountPath"].rstrip("/"): str(volumes[mount["name"]] / mount.get("subPath", ""))
        for mount in container.get("volumeMounts") or []
    }
    if not folders:
        return lambda text: text
    # The longest first, so that a mount inside another one wins; whole path segments only.
    paths = "|".join(re.escape(path) for path in sorted(folders, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w.-])({paths})(?![\w.-])")
    return lambda text: pattern.sub(lambda match: folders[match[1]], text)


async def _environment(pod: Object, container: Object, fetch: Fetch) -> dict[str, str]:
    env: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        prefix = source.get("prefix", "")
        for reference, resource in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if reference in source:
                data = await _data(source[reference], resource, fetch)
                env |= {prefix + key: value.decode() for key, value in (data or {}).items()}
    for variable in container.get("env") or []:
        if "valueFrom" in variable:
            value = await _value_from(pod, variable["valueFrom"], fetch)
            if value is not None:
                env[variable["name"]] = value
        else:
            env[variable["name"]] = expand(variable.get("value", ""), env)
    return env


async def _value_from(pod: Object, source: Object, fetch: Fetch) -> str | None:
    if "fieldRef" in source:
        return _field(pod, source["fieldRef"]["fieldPath"])
    for reference, resource in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
        if reference in source:
            wanted = source[reference]
            data = await _data(wanted, resource, fetch)
            if data is not None and wanted["key"] in data:
                return data[wanted["key"]].decode()
            if wanted.get("optional"):
                return None
            message = f"couldn't find key {wanted['key']} in {resource} {wanted['name']}"
            raise NotReady("CreateContainerConfigError", message)
    raise NotReady("CreateContainerConfigError", f"this node does not resolve {sorted(source)}")


def _field(pod: Object, path: str) -> str:
    keyed = re.fullmatch(r"metadata\.(labels|annotations)\['([^']+)'\]", path)
    if keyed:
        return str((pod["metadata"].get(keyed[1]) or {}).get(keyed[2], ""))
    if path in ("status.podIP", "status.hostIP", "status.podIPs", "status.hostIPs"):
        return "127.0.0.1"
    if path in ("metadata.labels", "metadata.annotations"):  # only in a downwardAPI volume
        entries = (pod["metadata"].get(path.split(".")[1]) or {}).items()
        return "\n".join(f'{key}="{value}"' for key, value in sorted(entries))
    value: Any = pod
    for step in path.split("."):
        value = value.get(step, "")
    return str(value)


async def _files(pod: Object, source: Object, fetch: Fetch, token: Token) -> dict[str, bytes]:
    if "downwardAPI" in source:
        items = source["downwardAPI"].get("items") or []
        return {item["path"]: _field(pod, item["fieldRef"]["fieldPath"]).encode() for item in items}
    if "serviceAccountToken" in source:
        return {source["serviceAccountToken"]["path"]: (await token(source["serviceAccountToken"])).encode()}
    for kind, resource in (("configMap", "configmaps"), ("secret", "secrets")):
        if kind in source:
            reference = source[kind]
            # A Secret volume says secretName; a projected one, and ConfigMaps, say name.
            named = {**reference, "name": reference.get("secretName") or reference.get("name")}
            data = await _data(named, resource, fetch, reason="ContainerCreating") or {}
            if not reference.get("items"):
                return data
            return {item["path"]: data[item["key"]] for item in reference["items"] if item["key"] in data}
    return {}


async def _data(
    reference: Object, resource: str, fetch: Fetch, reason: str = "CreateContainerConfigError"
) -> dict[str, bytes] | None:
    found = await fetch(resource, reference["name"])
    if found is None:
        if reference.get("optional"):
            return None
        raise NotReady(reason, f'{resource.removesuffix("s")} "{reference["name"]}" not found')
    if resource == "secrets":
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    text = {key: value.encode() for key, value in (found.get("data") or {}).items()}
    return text | {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}
