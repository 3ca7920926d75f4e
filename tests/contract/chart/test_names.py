"""A release called `tuning` keeps its names, and two releases do not meet."""

from __future__ import annotations

import json

import pytest

from .renderings import Object, Render, named, of, pod

TODAYS = {
    ("ServiceAccount", "tuning-operator"),
    ("ServiceAccount", "tuning-exporter"),
    ("ClusterRole", "tuning-operator-studies"),
    ("ClusterRole", "tuning-operator-cluster"),
    ("ClusterRole", "tuning-exporter"),
    ("ClusterRole", "tuning-edit"),
    ("ClusterRole", "tuning-view"),
    ("Role", "tuning-operator-lease"),
    ("Deployment", "tuning-operator"),
    ("Deployment", "tuning-exporter"),
    ("StatefulSet", "tuning-postgresql"),
    ("Service", "tuning-operator"),
    ("Service", "tuning-exporter"),
    ("Service", "tuning-postgresql"),
}


def test_names_and_selectors_on_which_an_upgrade_depends_stay(render: Render) -> None:
    objects = render()
    assert {(one["kind"], one["metadata"]["name"]) for one in objects} >= TODAYS
    for one in of(objects, "Deployment", "StatefulSet"):
        name = one["metadata"]["name"]
        selector = {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": "tuning"}
        assert one["spec"]["selector"] == {"matchLabels": selector}
    (volume,) = named(objects, "StatefulSet", "tuning-postgresql")["spec"]["volumeClaimTemplates"]
    assert volume["metadata"] == {"name": "data"}


def test_common_labels_change_no_selector(render: Render) -> None:
    def selectors(*values: str) -> list[Object]:
        return [one["spec"]["selector"] for one in of(render(*values), "Deployment", "StatefulSet", "Service")]

    assert selectors('commonLabels={"team":"a"}') == selectors()


def test_a_second_release_meets_nothing_of_the_first(render: Render) -> None:
    def cluster_wide(release: str) -> set[tuple[str, str]]:
        objects = render("crds.install=false", release=release, namespace=release)
        return {(one["kind"], one["metadata"]["name"]) for one in objects if "namespace" not in one["metadata"]}

    assert cluster_wide("tuning")
    assert not cluster_wide("tuning") & cluster_wide("team")
    assert {name.partition("-")[0] for _, name in cluster_wide("team")} == {"team"}


NAMES = [
    (('nameOverride="tuner"',), "team", "team-tuner-operator"),
    (('fullnameOverride="mine"',), "team", "mine-operator"),
    ((), "team", "team-tuning-operator"),
    ((), "my-tuning-one", "my-tuning-one-operator"),
]


@pytest.mark.parametrize(("values", "release", "name"), NAMES)
def test_names_follow_the_release_and_the_overrides(
    render: Render, values: tuple[str, ...], release: str, name: str
) -> None:
    objects = render(*values, release=release)
    made = named(objects, "Deployment", name)
    account = named(objects, "ServiceAccount", pod(made)["spec"]["serviceAccountName"])
    assert account["metadata"]["name"] == name
    bound = {s["name"] for b in of(objects, "ClusterRoleBinding", "RoleBinding") for s in b["subjects"]}
    assert bound == {name, name.replace("operator", "exporter")}


def test_everything_goes_to_the_namespace_that_is_given(render: Render) -> None:
    objects = render('namespaceOverride="platform"')
    assert {one["metadata"].get("namespace", "platform") for one in objects} == {"platform"}
    subjects = [s for b in of(objects, "ClusterRoleBinding", "RoleBinding") for s in b["subjects"]]
    assert {subject["namespace"] for subject in subjects} == {"platform"}
    assert "tuning-postgresql.platform.svc" in json.dumps(named(objects, "Deployment", "tuning-operator"))
