"""The worker Job of a round."""

from typing import Any

import pytest

from builders import make_round
from tuning_operator.executors.worker_job.job import RESTRICTED, WorkerDefaults, worker_job
from tuning_operator.objects.round_config_map import round_config_map
from tuning_study.round import ResolvedRound

DEFAULTS = WorkerDefaults("tuning-worker:1", "IfNotPresent", "tuning-store", "url")
Object = dict[str, Any]


def job(replicas: int = 3, queue_labels: Object | None = None, **fields: Any) -> Object:
    return worker_job(make_round(**fields), replicas, DEFAULTS, queue_labels or {})


def pod(**fields: Any) -> Object:
    spec: Object = job(**fields)["spec"]["template"]["spec"]
    return spec


def container(**fields: Any) -> Object:
    first: Object = pod(**fields)["containers"][0]
    return first


def environment(**fields: Any) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in container(**fields)["env"]}


def test_every_worker_is_an_index_of_one_job() -> None:
    made = job(replicas=5)
    spec = made["spec"]
    assert made["metadata"]["name"] == "digits-r1"
    assert (spec["completionMode"], spec["parallelism"], spec["completions"]) == ("Indexed", 5, 5)


def test_the_job_goes_with_its_study() -> None:
    (owner,) = job()["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("TuningStudy", "digits", "uid-1", True)


def test_job_and_pods_carry_the_labels_that_selectors_use() -> None:
    made = job(number=2)
    for labels in (made["metadata"]["labels"], made["spec"]["template"]["metadata"]["labels"]):
        assert labels["tuning.dev/study"] == "digits"
        assert labels["tuning.dev/round"] == "2"
        assert labels["tuning.dev/role"] == "worker"
        assert labels["app.kubernetes.io/managed-by"] == "tuning-operator"


QUEUED = {"kueue.x-k8s.io/queue-name": "gpus", "kueue.x-k8s.io/priority-class": "high"}


def test_a_job_for_a_queue_is_made_suspended_and_kueue_lets_it_run() -> None:
    queued = job(queue_labels=QUEUED)
    assert queued["metadata"]["labels"].items() >= QUEUED.items()
    assert queued["spec"]["suspend"] is True
    assert job()["spec"]["suspend"] is False


def test_kueue_may_admit_as_few_workers_as_the_study_says() -> None:
    annotations = job(replicas=4, workers={"replicas": 4, "minReplicas": 2})["metadata"]["annotations"]
    assert annotations["kueue.x-k8s.io/job-min-parallelism"] == "2"
    assert annotations["kueue.x-k8s.io/job-completions-equal-parallelism"] == "true"
    assert not [key for key in job()["metadata"]["annotations"] if "kueue" in key]


def shared_memory(**workers: Any) -> Object | None:
    """The volume that is mounted at /dev/shm, if it is the operator's."""
    mounts = container(workers=workers)["volumeMounts"]
    named = [mount["name"] for mount in mounts if mount["mountPath"] == "/dev/shm"]
    volumes = {volume["name"]: volume for volume in pod(workers=workers)["volumes"]}
    assert len(named) <= 1, "the API server takes no path twice"
    return volumes.get(named[0]) if named and "Memory" in str(volumes.get(named[0])) else None


def test_processes_of_a_worker_may_share_a_gibibyte() -> None:
    assert shared_memory() == {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}
    wanted = shared_memory(sharedMemory="8Gi")
    assert wanted is not None
    assert wanted["emptyDir"]["sizeLimit"] == "8Gi"


OWN_MOUNT = {"name": "mine", "mountPath": "/dev/shm"}


@pytest.mark.parametrize(
    "workers",
    [
        {"sharedMemory": "0"},
        {"volumeMounts": [OWN_MOUNT]},
        {"podTemplate": {"spec": {"containers": [{"name": "worker", "volumeMounts": [OWN_MOUNT]}]}}},
    ],
    ids=["none", "volumeMounts", "podTemplate"],
)
def test_shared_memory_of_ones_own_or_none_takes_the_place_of_ours(workers: Object) -> None:
    assert shared_memory(**workers) is None


def test_a_worker_that_cannot_run_ends_the_job_and_one_that_was_stopped_is_forgiven() -> None:
    actions = {
        str(rule.get("onExitCodes", {}).get("values") or "disruption"): rule["action"]
        for rule in job()["spec"]["podFailurePolicy"]["rules"]
    }
    assert actions == {"[78]": "FailJob", "disruption": "Ignore", "[143]": "Ignore"}
    assert pod()["restartPolicy"] == "Never"  # or Kubernetes refuses the policy


def test_pods_may_fail_more_often_than_trials() -> None:
    assert job(budget={"trials": 5, "failedTrials": 7})["spec"]["backoffLimitPerIndex"] > 7


def test_pods_run_under_the_restricted_level_without_a_token() -> None:
    spec, worker = pod(), container()
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert worker["securityContext"]["allowPrivilegeEscalation"] is False
    assert worker["securityContext"]["readOnlyRootFilesystem"] is True
    assert worker["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_a_worker_finds_its_round_its_store_and_its_name() -> None:
    env = {entry["name"]: entry for entry in container()["env"]}
    assert env["TUNING_WORKER"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    volumes = {volume["name"]: volume for volume in pod()["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
    assert volumes["round"]["configMap"]["name"] == "digits-r1"
    assert env["TUNING_ROUND_FILE"]["value"].rpartition("/")[0] == mounts["round"]
    assert env["TUNING_STORE_URL_FILE"]["value"] == f"{mounts['store']}/url"


def test_the_login_is_a_file_that_follows_its_secret_and_no_variable_holds_it() -> None:
    defaults = WorkerDefaults("tuning-worker:1", "IfNotPresent", "my-postgres", "uri")
    spec = worker_job(make_round(), 1, defaults, {})["spec"]["template"]["spec"]
    volume = next(volume["projected"] for volume in spec["volumes"] if volume["name"] == "store")
    url, authority = (source["secret"] for source in volume["sources"])
    assert url == {"name": "my-postgres", "items": [{"key": "uri", "path": "url"}]}
    assert authority["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
    assert authority["optional"] is True
    assert volume["defaultMode"] == 0o444  # for a uid that the namespace gives, with no fsGroup
    assert not [entry for entry in spec["containers"][0]["env"] if "secretKeyRef" in str(entry)]


def test_the_worker_gives_its_trial_back_before_kubernetes_kills_it() -> None:
    assert float(environment()["TUNING_GRACE_SECONDS"]) + 5 <= pod()["terminationGracePeriodSeconds"]


@pytest.mark.parametrize(
    ("resources", "threads"),
    [
        ({}, "1"),
        ({"limits": {"cpu": 4}}, "4"),
        ({"limits": {"cpu": "2500m"}}, "3"),
        ({"limits": {"cpu": "0.5"}}, "1"),
        ({"requests": {"cpu": 8}}, "1"),
        ({"limits": None}, "1"),
        ({"limits": {"cpu": "lots"}}, "1"),
    ],
)
def test_numeric_libraries_use_as_many_threads_as_the_limit_has_cpus(resources: Object, threads: str) -> None:
    assert environment(workers={"resources": resources})["OMP_NUM_THREADS"] == threads
    assert environment(workers={"resources": resources})["OPENBLAS_NUM_THREADS"] == threads


def test_the_studys_image_environment_and_volumes_are_added() -> None:
    workers = {
        "image": "mine:2",
        "env": [{"name": "DATA", "value": "/data"}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    made, worker = pod(workers=workers), container(workers=workers)
    assert worker["image"] == "mine:2"
    assert worker["env"][-1] == {"name": "DATA", "value": "/data"}
    assert made["volumes"][-1]["name"] == worker["volumeMounts"][-1]["name"] == "data"


@pytest.mark.parametrize("config_map", [None, "my-code"])
def test_a_python_objectives_own_code_is_mounted_and_put_on_its_path(config_map: str | None) -> None:
    objective = {"python": {"function": "m:f", **({"configMap": config_map} if config_map else {})}}
    mounts = {mount["name"]: mount["mountPath"] for mount in container(objective=objective)["volumeMounts"]}
    assert mounts.get("code") == environment(objective=objective).get("TUNING_CODE_DIR")
    assert ("code" in mounts) is (config_map is not None)


TEMPLATES: list[tuple[Object, str, Any]] = [
    ({"spec": {"nodeSelector": {"gpu": "true"}}}, "nodeSelector", {"gpu": "true"}),
    ({"spec": {"priorityClassName": "low"}}, "priorityClassName", "low"),
    (
        {"spec": {"tolerations": [{"key": "gpu", "operator": "Exists"}]}},
        "tolerations",
        [{"key": "gpu", "operator": "Exists"}],
    ),
    ({"spec": {"terminationGracePeriodSeconds": 300}}, "terminationGracePeriodSeconds", 300),
]


@pytest.mark.parametrize(("template", "field", "value"), TEMPLATES)
def test_a_pod_template_adds_to_the_pod_or_replaces_a_field(template: Object, field: str, value: Any) -> None:
    made = pod(workers={"podTemplate": template})
    assert made[field] == value
    assert made["securityContext"] == pod()["securityContext"]


def laid(*templates: Object, study: Object) -> Object:
    """The pod template of a study under the chart's templates."""
    defaults = WorkerDefaults("tuning-worker:1", "IfNotPresent", "tuning-store", "url", templates)
    made: Object = worker_job(make_round(workers={"podTemplate": study}), 1, defaults, {})["spec"]["template"]
    return made


def test_the_user_is_the_images() -> None:
    assert "runAsUser" not in pod()["securityContext"]
    assert "runAsGroup" not in pod()["securityContext"]


def test_a_studys_pod_template_lies_on_those_of_the_chart_in_their_order() -> None:
    first = {"spec": {"nodeSelector": {"pool": "cpu", "zone": "a"}, "priorityClassName": "low"}}
    second = {"spec": {"nodeSelector": {"pool": "gpu"}, "imagePullSecrets": [{"name": "mine"}]}}
    made = laid(first, second, study={"spec": {"priorityClassName": "high"}})["spec"]
    assert made["nodeSelector"] == {"pool": "gpu", "zone": "a"}
    assert made["imagePullSecrets"] == [{"name": "mine"}]
    assert made["priorityClassName"] == "high"


NULLS: list[tuple[Object, str, Any]] = [
    ({"spec": {"securityContext": {"fsGroup": None}}}, "securityContext", {"runAsNonRoot": True}),
    ({"spec": {"securityContext": None}}, "securityContext", None),
    ({"spec": {"nodeSelector": {"absent": None}}}, "nodeSelector", {}),
    ({"spec": {"affinity": {"nodeAffinity": {"a": None, "b": 1}}}}, "affinity", {"nodeAffinity": {"b": 1}}),
    ({"spec": {"tolerations": None}}, "tolerations", None),
]


@pytest.mark.parametrize(("study", "field", "left"), NULLS)
def test_null_in_a_pod_template_removes_what_lies_below(study: Object, field: str, left: Any) -> None:
    chart = {"spec": {"securityContext": {"runAsNonRoot": True, "fsGroup": 10001}, "tolerations": [{"key": "a"}]}}
    made = laid(chart, study=study)["spec"]
    assert made.get(field) == left
    assert (field in made) is (left is not None)


def test_null_removes_fields_of_the_worker_container_too() -> None:
    containers = [{"name": "worker", "securityContext": {"readOnlyRootFilesystem": None}}]
    worker = laid(dict(RESTRICTED), study={"spec": {"containers": containers}})["spec"]["containers"][0]
    assert worker["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert worker["image"] == "tuning-worker:1"


def test_a_pod_template_that_leaves_no_pod_is_left_to_the_api_server_to_refuse() -> None:
    assert "spec" not in laid(study={"spec": None})


def test_a_pod_template_changes_the_worker_container_by_its_name_and_may_add_others() -> None:
    containers = [
        {"name": "worker", "command": ["tini", "--", "python"], "securityContext": {"capabilities": {"drop": []}}},
        {"name": "sidecar", "image": "proxy"},
    ]
    worker, sidecar = pod(workers={"podTemplate": {"spec": {"containers": containers}}})["containers"]
    assert worker["command"] == ["tini", "--", "python"]
    assert worker["securityContext"]["capabilities"]["drop"] == []
    assert worker["image"] == "tuning-worker:1"
    assert (sidecar["name"], sidecar["image"]) == ("sidecar", "proxy")


def test_exit_codes_of_a_sidecar_decide_nothing() -> None:
    rules = job()["spec"]["podFailurePolicy"]["rules"]
    on_exit_codes = [rule["onExitCodes"] for rule in rules if "onExitCodes" in rule]
    assert [rule["containerName"] for rule in on_exit_codes] == ["worker"] * 2


def test_what_any_container_said_before_it_failed_is_quoted_in_the_pods_status() -> None:
    template = {"spec": {"initContainers": [{"name": "fetch"}], "containers": [{"name": "proxy"}]}}
    made = pod(workers={"podTemplate": template})
    quoting = [entry["terminationMessagePolicy"] for entry in [*made["containers"], *made["initContainers"]]]
    assert quoting == ["FallbackToLogsOnError"] * 3


def test_a_job_tells_which_workers_it_was_made_from_but_not_how_many() -> None:
    def digest(**workers: Any) -> str:
        found: str = job(workers=workers)["metadata"]["annotations"]["tuning.dev/workers"]
        return found

    assert digest(replicas=2) == digest(replicas=5)
    assert digest(image="a") != digest(image="b")


@pytest.mark.parametrize(("limits", "threads"), [({}, "1"), ({"cpu": "2500m"}, "3"), ({"cpu": "4"}, "4")])
def test_numeric_libraries_use_the_cores_that_the_worker_may_use(limits: dict[str, str], threads: str) -> None:
    environment = {
        e["name"]: e.get("value") for e in pod(workers={"resources": {"limits": limits}})["containers"][0]["env"]
    }
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT"):
        assert environment[name] == threads


def test_a_pod_template_adds_labels_and_leaves_ours() -> None:
    labels = job(workers={"podTemplate": {"metadata": {"labels": {"team": "a"}}}})["spec"]["template"]["metadata"][
        "labels"
    ]
    assert labels["team"] == "a"
    assert labels["tuning.dev/study"] == "digits"


def test_the_config_map_holds_the_whole_round_and_cannot_change() -> None:
    resolved = make_round(number=2, budget={"trials": 5, "duration": "2h"})
    made = round_config_map(resolved)
    assert made["immutable"] is True
    assert made["metadata"]["name"] == "digits-r2"
    assert made["metadata"]["ownerReferences"] == job()["metadata"]["ownerReferences"]
    assert ResolvedRound.model_validate_json(made["data"]["round.json"]) == resolved
