"""Where the integration tests get a real Kubernetes from.

A control plane needs no container: its programs are found where envtest keeps them, or built from pinned Go modules.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_MODULES = Path(__file__).resolve().parents[1] / "kubernetes"
_VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


class BinariesUnavailable(RuntimeError):
    """The programs are neither given nor can they be built here; the message says what to do."""


@dataclass(frozen=True)
class Binaries:
    """The programs of a control plane, and kubectl."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kubectl: Path


def locate(say: Callable[[str], object] = lambda _: None) -> Binaries:
    """Return the programs of ``$KUBEBUILDER_ASSETS``; whatever is missing there is built once for each user.

    envtest's own archives lack kube-controller-manager, so each program is looked up by itself.

    Args:
        say: receives a line before each build, as a first one takes minutes.

    Raises:
        BinariesUnavailable: something is missing and there is no Go to build it.
    """
    return Binaries(
        etcd=_find("etcd", say),
        kube_apiserver=_find("kube-apiserver", say),
        kube_controller_manager=_find("kube-controller-manager", say),
        kubectl=_find("kubectl", say),
    )


def kueue(say: Callable[[str], object] = lambda _: None) -> Path:
    """Return Kueue's manager, built once for each user.

    Raises:
        BinariesUnavailable: it is not built, and there is no Go to build it.
    """
    return _built("kueue", say)


def kueue_crds() -> list[Path]:
    """Return the files of Kueue's CRDs, of the module that its manager was built from."""
    return sorted(_module("kueue").glob("config/components/crd/bases/*.yaml"))


def prometheus_operator(say: Callable[[str], object] = lambda _: None) -> Path:
    """Return the Prometheus operator, built once for each user.

    Raises:
        BinariesUnavailable: it is not built, and there is no Go to build it.
    """
    return _built("prometheus-operator", say)


def prometheus_operator_crds() -> list[Path]:
    """Return the files of the Prometheus operator's CRDs, of the module that it was built from."""
    return sorted(_module("prometheus-operator").glob("example/prometheus-operator-crd/*.yaml"))


def _module(name: str) -> Path:
    source = _SOURCES[name]
    command = ["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", source.pin]
    found = subprocess.run(command, cwd=source.module, capture_output=True, text=True, check=True).stdout
    return Path(found.strip())


@dataclass(frozen=True)
class _Source:
    """What a program is built from: its package, and the module whose pin is its version."""

    module: Path
    package: str
    pin: str


_SOURCES = {
    "etcd": _Source(_MODULES / "etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"),
    "kueue": _Source(_MODULES / "kueue", "sigs.k8s.io/kueue/cmd/kueue", "sigs.k8s.io/kueue"),
    "prometheus-operator": _Source(
        _MODULES / "prometheus-operator",
        "github.com/prometheus-operator/prometheus-operator/cmd/operator",
        "github.com/prometheus-operator/prometheus-operator",
    ),
    **{
        name: _Source(_MODULES, f"k8s.io/kubernetes/cmd/{name}", "k8s.io/kubernetes")
        for name in ("kube-apiserver", "kube-controller-manager", "kubectl")
    },
}


def _find(name: str, say: Callable[[str], object]) -> Path:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and os.access(Path(assets, name), os.X_OK):
        return Path(assets, name).absolute()
    return _built(name, say)


def _built(name: str, say: Callable[[str], object]) -> Path:
    source = _SOURCES[name]
    # A folder for each version: a new pin is built beside the old one.
    version = _pinned(source.pin, source.module).removeprefix("v")
    folder = "kubernetes" if source.module == _MODULES else name
    target = _cache() / f"{folder}-{version}" / name
    if not target.exists():
        _build(source, target, say)
    return target


def _build(source: _Source, target: Path, say: Callable[[str], object]) -> None:
    go = shutil.which("go")
    if go is None:
        raise BinariesUnavailable(
            f"no {target.name}: set KUBEBUILDER_ASSETS to a folder with it, or install Go to have it built"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other pytest processes wait here, then find the program
        if target.exists():
            return
        say(f"building {target.name} {target.parent.name} (minutes the first time, then cached)")
        half = target.with_suffix(".half")
        command = [go, "build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", _linker_flags()]
        built = subprocess.run(
            [*command, "-o", str(half), source.package],
            cwd=source.module,
            env={**os.environ, "CGO_ENABLED": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if built.returncode != 0:
            raise RuntimeError(f"cannot build {target.name} from {source.module}:\n{built.stdout[-4000:]}")
        half.replace(target)


def _linker_flags() -> str:
    # Without its version a program reports v0.0.0 and refuses features which depend on it.
    version = _pinned("k8s.io/kubernetes", _MODULES)
    major, minor = version.removeprefix("v").split(".")[:2]
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    settings = (f"-X {package}.{key}={values[key]}" for package in _VERSION_PACKAGES for key in values)
    return " ".join(["-s -w", *settings])


def _pinned(package: str, module: Path) -> str:
    text = (module / "go.mod").read_text()
    match = re.search(rf"^\s*(?:require\s+)?{re.escape(package)} (v\S+)", text, re.MULTILINE)
    if match is None:
        raise RuntimeError(f"{module / 'go.mod'} does not pin {package}")
    return match[1]


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tuning-operator"
