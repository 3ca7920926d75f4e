"""The Job that fits a model: a worker of the study but for what it runs."""

import json
from typing import Any

import pytest

from builders import make_round
from tuning_client.cluster.fit_job import fit_job, place_of
from tuning_client.exceptions import WrongUse
from tuning_client.fitting import with_suffix
from tuning_operator.executors.worker_job.job import WorkerDefaults, worker_job

STUDY = {"metadata": {"name": "digits", "uid": "uid-1"}}
REQUEST = {"trial": 7, "parameters": {"C": 1.0}, "running_means": [0.9]}


def made(to: str, labels: dict[str, str] | None = None, **workers: Any) -> dict[str, Any]:
    defaults = WorkerDefaults("tuning-worker:1", "IfNotPresent", "tuning-store", "url")
    job = worker_job(make_round(workers={"image": "mine:2", **workers}), 3, defaults, labels or {})
    return fit_job(job, STUDY, REQUEST, place_of(to))


def worker(job: dict[str, Any]) -> dict[str, Any]:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return dict(container)


def test_it_is_a_worker_but_for_what_it_runs() -> None:
    mount = {"name": "data", "mountPath": "/data"}
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    job = made("pvc://models/digits/best.joblib", volumes=[volume], volumeMounts=[mount])
    container, pod = worker(job), job["spec"]["template"]["spec"]
    assert (container["image"], container["command"]) == ("mine:2", ["python", "-m", "tuning_worker.fit"])
    assert mount in container["volumeMounts"] and volume in pod["volumes"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert environment["TUNING_ROUND_FILE"]
    asked = json.loads(environment["TUNING_FIT_REQUEST"])
    assert asked == {**REQUEST, "out": "/tuning-model/digits/best.joblib"}
    assert {"name": "model", "persistentVolumeClaim": {"claimName": "models"}} in pod["volumes"]


def test_it_cannot_log_in_to_the_database() -> None:
    job = made("pvc://models/best.joblib")
    names = [entry["name"] for entry in (*job["spec"]["template"]["spec"]["volumes"], *worker(job)["volumeMounts"])]
    assert "store" not in names


def test_the_operator_does_not_take_it_for_a_worker() -> None:
    labels = [made("pvc://models/m.joblib")["metadata"]["labels"]]
    labels.append(made("pvc://models/m.joblib")["spec"]["template"]["metadata"]["labels"])
    assert all("tuning.dev/study" not in found and found["tuning.dev/role"] == "fit" for found in labels)


def test_a_sidecar_stays_away() -> None:
    template = {"spec": {"containers": [{"name": "proxy", "image": "proxy"}]}}
    assert worker(made("pvc://models/m.joblib", podTemplate=template))["name"] == "worker"


def test_it_waits_in_the_queue_of_its_study() -> None:
    job = made("pvc://models/m.joblib", labels={"kueue.x-k8s.io/queue-name": "team"})
    assert job["spec"]["suspend"] is True
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"


def test_a_model_for_a_url_is_sent_there() -> None:
    job = made("s3://models/digits.joblib")
    asked = json.loads({e["name"]: e.get("value") for e in worker(job)["env"]}["TUNING_FIT_REQUEST"])
    assert asked["upload"] == "s3://models/digits.joblib"
    assert asked["out"].startswith("/tmp/")


@pytest.mark.parametrize(
    "to", ["model.joblib", "/models/model.joblib", "pvc://models", "pvc://models/", "pvc:///m.joblib", "pvc://m/../x"]
)
def test_a_place_that_is_none_is_told_with_what_to_write(to: str) -> None:
    with pytest.raises(WrongUse, match=r"--to .*: write pvc://CLAIM/"):
        place_of(to)


@pytest.mark.parametrize(
    ("to", "want"),
    [
        ("pvc://models/digits.joblib", "pvc://models/digits-7.joblib"),
        ("https://store/a/m.joblib?signature=x", "https://store/a/m-7.joblib?signature=x"),
    ],
)
def test_each_of_several_models_has_a_name_of_its_own(to: str, want: str) -> None:
    assert with_suffix(to, "-7") == want
    assert with_suffix(to, "") == to
