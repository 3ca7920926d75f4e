"""Asking for new passwords: who is waited for."""

from collections.abc import Mapping
from typing import Any, cast

from tuning_client.cluster.credentials import rotate
from tuning_client.exceptions import WrongUse
from tuning_kube import names


class Cluster:
    """One namespace whose operator answers at once, and two that end: before they are asked, and before they answer."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, str]] = {"ending": {}, "gone": {}, "team": {}}

    def secrets_named(self, name: str, *, everywhere: bool) -> list[tuple[str, dict[str, str]]]:
        return list(self.secrets.items())

    def annotate_secret(self, namespace: str, name: str, annotations: Mapping[str, str]) -> None:
        if namespace == "gone":
            raise WrongUse(f"Secret {name} is not there")
        self.secrets = {"team": {names.ROTATE_HANDLED_ANNOTATION: annotations[names.ROTATE_ANNOTATION]}}


def test_nobody_waits_for_a_namespace_that_ends_meanwhile() -> None:
    assert list(rotate(cast(Any, Cluster()), everywhere=True)) == [("team", "")]
