"""What is rendered again is the same, and holds no secret."""

from __future__ import annotations

import pytest

from .renderings import CHART, VALUE_SETS, Render, named, of, pod, run


def test_two_renderings_are_the_same(helm: str) -> None:
    assert run(helm, "template", "tuning", str(CHART)) == run(helm, "template", "tuning", str(CHART))


@pytest.mark.parametrize("values", VALUE_SETS.values(), ids=VALUE_SETS)
def test_no_secret_is_rendered(render: Render, values: tuple[str, ...]) -> None:
    assert of(render(*values), "Secret") == []


MADE = {
    "both": ((), {"--postgresql-secret=tuning-postgresql", "--token-secret=tuning-exporter-token"}),
    "the token": (
        ('externalPostgresql.existingSecret="db"',),
        {"--token-secret=tuning-exporter-token"},
    ),
    "the password": (('exporter.token.existingSecret="token"',), {"--postgresql-secret=tuning-postgresql"}),
    "the password, as nobody needs a token": (("exporter.enabled=false",), {"--postgresql-secret=tuning-postgresql"}),
    "another token, for people": (
        ("dashboard.enabled=true",),
        {
            "--postgresql-secret=tuning-postgresql",
            "--token-secret=tuning-exporter-token",
            "--token-secret=tuning-dashboard-token",
        },
    ),
    "none": (VALUE_SETS["own secrets"], set()),
}


@pytest.mark.parametrize(("values", "wanted"), MADE.values(), ids=MADE)
def test_what_nobody_gave_is_made_before_the_operator_starts(
    render: Render, values: tuple[str, ...], wanted: set[str]
) -> None:
    objects = render(*values)
    spec = pod(named(objects, "Deployment", "tuning-operator"))["spec"]
    arguments = {argument for container in spec.get("initContainers", []) for argument in container["args"]}
    assert {argument for argument in arguments if "-secret=" in argument} == wanted
    (store,) = (volume for volume in spec["volumes"] if volume["name"] == "store")
    # The kubelet would wait for ever for a Secret that this very pod makes.
    optional = store["projected"]["sources"][0]["secret"].get("optional", False)
    assert optional == ("--postgresql-secret=tuning-postgresql" in wanted)
    rights = named(objects, "Role", "tuning-operator-lease")["rules"]
    assert any(rule["resources"] == ["secrets"] for rule in rights) == bool(wanted)
