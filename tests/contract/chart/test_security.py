"""Rights follow the watched namespaces, and pods run where users and groups are the cluster's to give."""

from __future__ import annotations

import re
from typing import Any

import pytest

from builders import make_round
from tuning_operator.executors.worker_job.job import WorkerDefaults, worker_job
from tuning_operator.settings import from_environment

from .renderings import EVERYTHING, PODS, ROOT, VALUE_SETS, Object, Render, containers, environment, named, of, pod


def granted(objects: list[Object], resource: str) -> set[tuple[str, str]]:
    """Who may do something with a resource, and where: in one namespace, or in all (`*`)."""
    rules = {(one["kind"], one["metadata"]["name"]): one["rules"] for one in of(objects, "ClusterRole", "Role")}
    found = set()
    for binding in of(objects, "ClusterRoleBinding", "RoleBinding"):
        if any(resource in rule["resources"] for rule in rules[binding["roleRef"]["kind"], binding["roleRef"]["name"]]):
            found |= {(s["name"], binding["metadata"].get("namespace", "*")) for s in binding["subjects"]}
    return found


@pytest.mark.parametrize("resource", ["tuningstudies", "jobs", "pods", "configmaps", "events"])
def test_rights_on_what_a_study_is_made_of_follow_the_watched_namespaces(render: Render, resource: str) -> None:
    accounts = {"tuning-operator"} | ({"tuning-exporter"} if resource == "tuningstudies" else set())
    assert granted(render(), resource) == {(account, "*") for account in accounts}
    watched = render('watchNamespaces=["a","b"]')
    assert granted(watched, resource) == {(account, name) for account in accounts for name in ("a", "b")}


def test_the_exporter_touches_no_secret(render: Render) -> None:
    assert {account for account, _ in granted(render(), "secrets")} == {"tuning-operator"}


def test_the_exporter_reviews_tokens_only_where_that_is_switched_on(render: Render) -> None:
    assert granted(render('exporter.token.namespacesSecret="tokens"'), "tokenreviews") == set()
    objects = render("exporter.tokenReview.enabled=true", 'watchNamespaces=["a"]')
    assert granted(objects, "tokenreviews") == {("tuning-exporter", "*")}
    assert named(objects, "ClusterRole", "tuning-exporter-reviews")["rules"] == [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    ]


def test_the_exporter_is_told_whose_tokens_it_takes(render: Render) -> None:
    def told(*values: str) -> dict[str, str]:
        known = environment(named(render(*values), "Deployment", "tuning-exporter"))
        return {name: known[name] for name in ("TUNING_NAMESPACE_TOKENS", "TUNING_TOKEN_AUDIENCE") if name in known}

    assert told() == {}
    assert told("exporter.tokenReview.enabled=true") == {"TUNING_TOKEN_AUDIENCE": "tuning-exporter"}
    values = 'exporter.token.namespacesSecret="tokens"'
    assert told(values) == {"TUNING_NAMESPACE_TOKENS": "/etc/tuning/namespaces"}
    spec = pod(named(render(values), "Deployment", "tuning-exporter"))["spec"]
    (mount,) = [one for one in spec["containers"][0]["volumeMounts"] if one["mountPath"] == "/etc/tuning/namespaces"]
    (volume,) = [one for one in spec["volumes"] if one["name"] == mount["name"]]
    assert volume["secret"]["secretName"] == "tokens"
    assert "subPath" not in mount, "the kubelet would not bring a rotated token"


def test_the_dashboard_may_learn_which_cluster_it_is_in_list_studies_and_no_more(render: Render) -> None:
    objects = render("dashboard.enabled=true", 'watchNamespaces=["a"]')
    bound = {
        (binding["roleRef"]["name"], binding["metadata"].get("namespace"))
        for binding in of(objects, "ClusterRoleBinding", "RoleBinding")
        if binding["subjects"][0]["name"] == "tuning-dashboard"
    }
    assert bound == {("tuning-dashboard", None), ("tuning-dashboard-studies", "a")}
    assert named(objects, "ClusterRole", "tuning-dashboard-studies")["rules"] == [
        {"apiGroups": ["tuning.dev"], "resources": ["tuningstudies"], "verbs": ["list"]}
    ]
    assert named(objects, "ClusterRole", "tuning-dashboard")["rules"] == [
        {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]}
    ]
    assert environment(named(objects, "Deployment", "tuning-dashboard"))["TUNING_WATCH_NAMESPACES"] == "a"


@pytest.mark.parametrize(
    ("values", "secret"),
    [
        ((), "tuning-dashboard-token"),
        (('dashboard.token.existingSecret="ours"',), "ours"),
        (('dashboard.authentication="None"',), None),
    ],
)
def test_the_dashboard_asks_for_a_token_unless_something_before_it_asks(
    render: Render, values: tuple[str, ...], secret: str | None
) -> None:
    dashboard = named(render("dashboard.enabled=true", *values), "Deployment", "tuning-dashboard")
    mounted = [volume["secret"]["secretName"] for volume in pod(dashboard)["spec"]["volumes"] if "secret" in volume]
    assert mounted == ([secret] if secret else [])
    assert ("TUNING_TOKEN_FILE" in environment(dashboard)) == bool(secret)


def test_built_in_roles_gain_studies_unless_that_is_not_wanted(render: Render) -> None:
    def gaining(*values: str) -> set[str]:
        roles = of(render(*values), "ClusterRole")
        labels = {label for role in roles for label in role["metadata"]["labels"]}
        return {label.rpartition("-")[2] for label in labels if "aggregate-to" in label}

    assert gaining() == {"admin", "edit", "view"}
    assert gaining("rbac.aggregate=false") == set()


def test_rights_and_accounts_may_be_made_elsewhere(render: Render) -> None:
    objects = render("rbac.create=false", *VALUE_SETS["no accounts"])
    assert of(objects, "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount") == []
    assert pod(named(objects, "Deployment", "tuning-exporter"))["spec"]["serviceAccountName"] == "a"


def users(render: Render, *values: str) -> set[str]:
    """Fields of all pods and of the workers' that name a user or a group."""
    objects = render(*values)
    contexts = [pod(one)["spec"].get("securityContext", {}) for one in of(objects, *PODS)]
    contexts += [container.get("securityContext", {}) for one in of(objects, *PODS) for container in containers(one)]
    contexts.append(worker_pod(objects).get("securityContext", {}))
    return {field for context in contexts for field in context if field in ("runAsUser", "runAsGroup", "fsGroup")}


def worker_pod(objects: list[Object], **workers: Any) -> Object:
    """Of a study, as the operator builds it from the environment that the chart gives it."""
    chart = environment(of(objects, "Deployment")[-1]) | {"TUNING_STORE_URL": "postgresql://db/tuning"}
    settings = from_environment({name: value for name, value in chart.items() if name != "TUNING_STORE_URL_FILE"})
    defaults = WorkerDefaults(
        settings.worker_image, settings.image_pull_policy, "tuning-store", "url", settings.worker_pod_templates
    )
    made: Object = worker_job(make_round(workers=workers), 1, defaults, {})["spec"]["template"]["spec"]
    return made


def test_a_cluster_that_gives_users_and_groups_finds_none_in_the_pods(render: Render) -> None:
    assert users(render) == {"fsGroup"}
    assert users(render, "podSecurityContext.fsGroup=null") == set()


@pytest.mark.parametrize("values", [(), ("podSecurityContext.fsGroup=null",)])
def test_all_pods_pass_the_restricted_level(render: Render, values: tuple[str, ...]) -> None:
    objects = render(*values)
    pods = [*(pod(one)["spec"] for one in of(objects, *PODS)), worker_pod(objects)]
    for spec in pods:
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_workers_take_the_charts_security_contexts_but_not_its_user(render: Render) -> None:
    spec = worker_pod(
        render(
            'podSecurityContext={"runAsUser":5,"runAsGroup":6,"fsGroup":7}', "containerSecurityContext.privileged=false"
        )
    )
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "fsGroup": 7,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert spec["containers"][0]["securityContext"]["privileged"] is False


def test_workers_have_the_charts_pod_template_under_their_studys(render: Render) -> None:
    objects = render(EVERYTHING)
    spec = worker_pod(objects, podTemplate={"spec": {"nodeSelector": {"disk": "ssd"}, "tolerations": None}})
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["nodeSelector"] == {"pool": "gpu", "disk": "ssd"}
    assert "tolerations" not in spec
    assert "fsGroup" not in spec["securityContext"]
    assert spec["containers"][0]["image"] == "registry.example.com/team/worker:1"


def test_secrets_can_be_read_by_whatever_user_a_pod_is_given(render: Render) -> None:
    objects = render()
    volumes = [volume for one in of(objects, *PODS) for volume in pod(one)["spec"].get("volumes", [])]
    modes = [v[kind]["defaultMode"] for v in volumes for kind in ("secret", "projected") if kind in v]
    assert len(modes) == 4
    assert set(modes) == {0o444}


def test_the_images_name_their_users_by_number() -> None:
    stages = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)[1:]
    final = {stage.splitlines()[0].rpartition(" ")[2]: stage for stage in stages}
    for target in ("operator", "worker", "postgresql"):  # runAsNonRoot asks for it
        assert re.findall(r"^USER (.*)$", final[target], re.MULTILINE) == ["10001:10001"]
