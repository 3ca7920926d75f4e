"""A cluster for tests: a real control plane, a fake node, and a small client. Nothing here knows the operator."""

from .binaries import Binaries, BinariesUnavailable, locate
from .containers import Launch
from .control_plane import Component, ControlPlane
from .kube import Kube
from .node import FakeNode
from .processes import Runner

__all__ = [
    "Binaries",
    "BinariesUnavailable",
    "Component",
    "ControlPlane",
    "FakeNode",
    "Kube",
    "Launch",
    "Runner",
    "locate",
]
