"""Fixtures of the integration tests besides those of tests/conftest.py: a node, the operator on it, and the chart."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from contract.chart.conftest import helm, render  # noqa: F401 - fixtures
from integration.harness import ControlPlane, FakeNode
from integration.operator_fixtures import (  # noqa: F401 - fixtures
    crd,
    exporter,
    gate,
    module_exporter,
    operator,
    postgres,
    promotion_rights,
    session_operator,
    session_postgres,
    studies,
    system,
    token_file,
)


@pytest.fixture(scope="session")
def node(control_plane: ControlPlane) -> Iterator[FakeNode]:
    """The node that runs whatever pods there are."""
    python_path = os.environ.get("PYTHONPATH")
    with FakeNode(control_plane, env={"PYTHONPATH": python_path} if python_path else {}) as fake:
        yield fake
