"""A small model service on a cluster: pods that train their model with a study's parameters when they start, one that
asks them all the time, and a Prometheus that finds them."""

import json
from typing import Any

from e2e.conftest import Kubectl

SERVICE = """
import json, os, random
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from sklearn.datasets import load_iris
from sklearn.svm import SVC

C, gamma = float(os.environ.get("TUNING_PARAM_C", "0.01")), float(os.environ.get("TUNING_PARAM_GAMMA", "0.1"))
rows, species = load_iris(return_X_y=True)
model = SVC(C=C, gamma=gamma).fit(rows[::2], species[::2])
right = (model.predict(rows[1::2]) == species[1::2]).tolist()
told = {True: 0, False: 0}
who = f'pod="{os.environ["HOSTNAME"]}",namespace="{os.environ.get("NAMESPACE")}"'

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/metrics":
            lines = [f'predictions_total{{right="{str(each).lower()}",{who}}} {count}' for each, count in told.items()]
            answer = "\\n".join([*lines, ""])
        else:
            if self.path == "/predict":  # of a flower that the model has not seen
                told[random.choice(right)] += 1
            answer = json.dumps({"C": C, "gamma": gamma})
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
LOAD = """
import collections, itertools, json, os, time, urllib.request

# The address, not the name: a lost packet of the cluster's DNS is no failure of the service.
url = "http://{FLOWERS_API_SERVICE_HOST}:8080/predict".format_map(os.environ)
told = collections.Counter()
failures = []

def ask():
    sent = time.time()
    try:
        answer = json.load(urllib.request.urlopen(url, timeout=10))
    except Exception as error:
        failures.append(f"{time.strftime('%T', time.gmtime(sent))} after {time.time() - sent:.2f} s: {error!r}")
        return None
    told["answered"] += 1
    return answer["C"], answer["gamma"]

while (last := ask()) is None:  # until the node knows the way to a service that is a second old
    time.sleep(0.1)
told.clear()
failures.clear()
began = time.monotonic()
for number in itertools.count(1):
    last = ask() or last
    if number % 25 == 0:
        rate = number / (time.monotonic() - began)
        print(json.dumps({**told, "last": last, "rate": round(rate), "failures": failures}), flush=True)
    time.sleep(max(0.0, began + number / 50 - time.monotonic()))
"""
SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def pod(image: str, program: str, **more: object) -> dict[str, object]:
    container = {"name": "main", "image": image, "command": ["python", "-c", program], "securityContext": CONTAINER}
    return {"securityContext": SECURITY, "containers": [container | more]}


def serving(kubectl: Kubectl, image: str) -> None:
    """The service: two pods that train their model when they start, and one that asks them all the time."""
    serve = pod(
        image,
        SERVICE,
        envFrom=[{"configMapRef": {"name": "flowers-params-stable", "optional": True}}],
        env=[{"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}],
        readinessProbe={"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        lifecycle={"preStop": {"sleep": {"seconds": 3}}},
    )
    labels = {"app": "flowers-api"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "flowers-api"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels}, "spec": serve},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "flowers-api"},
        "spec": {"selector": labels, "ports": [{"port": 8080}]},
    }
    headless = {**service, "metadata": {"name": "flowers-pods"}, "spec": {"selector": labels, "clusterIP": "None"}}
    asks = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "load"}, "spec": pod(image, LOAD)}
    for body in (deployment, service, headless):
        kubectl.apply(json.dumps(body))
    kubectl("rollout status deployment/flowers-api --timeout=120s")
    kubectl.apply(json.dumps(asks))


def asked(kubectl: Kubectl) -> dict[str, Any]:
    """What the one that asks has told last."""
    told: dict[str, Any] = json.loads([line for line in kubectl("logs load").splitlines() if line[0] == "{"][-1])
    return told


def watching(kubectl: Kubectl) -> str:
    """A Prometheus that finds the service's pods; its URL inside of the cluster."""
    # Debian's knows nothing of Kubernetes: it finds addresses, and the pods say who they are.
    name = f"flowers-pods.{kubectl.namespace}.svc.cluster.local"
    found = {
        "job_name": "pods",
        "honor_labels": True,
        "dns_sd_configs": [{"names": [name], "type": "A", "port": 8080, "refresh_interval": "1s"}],
    }
    config = {"global": {"scrape_interval": "1s"}, "scrape_configs": [found]}
    labels = {"app": "prometheus"}
    container = {
        "name": "prometheus",
        "image": "prom/prometheus:v2.42.0",
        "imagePullPolicy": "IfNotPresent",
        "args": ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/tmp/data"],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": 9090}, "periodSeconds": 1},
        "securityContext": CONTAINER,
        "volumeMounts": [{"name": "config", "mountPath": "/etc/prometheus"}],
    }
    spec = {
        "securityContext": {**SECURITY, "runAsUser": 65534},
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "prometheus"}}],
    }
    bodies: list[dict[str, object]] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"prometheus.yml": json.dumps(config)}},
        {"apiVersion": "v1", "kind": "Service", "spec": {"selector": labels, "ports": [{"port": 9090}]}},
    ]
    for body in bodies:
        kubectl.apply(json.dumps({**body, "metadata": {"name": "prometheus"}}))
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "prometheus", "labels": labels}, "spec": spec}
    kubectl.apply(json.dumps(pod))
    kubectl("wait --for=condition=Ready pod/prometheus --timeout=120s")
    return f"http://prometheus.{kubectl.namespace}:9090"
