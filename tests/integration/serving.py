"""A small service on the fake node: a Deployment whose pods serve with a study's parameters, found by Prometheus while
they live, and asked all the time."""

from __future__ import annotations

import json
import random
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from integration.studies import Study, quick_study, shell

_POD = """
import json, os, signal, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

x, counts = os.environ.get("TUNING_PARAM_X", "none"), {200: 0, 500: 0}

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/metrics":
            code, lines = 200, [f'requests_total{{code="{code}"}} {count}' for code, count in counts.items()]
        else:
            code, lines = (500 if x == os.environ["BAD"] and counts[200] > 2 * counts[500] else 200), [x]
            counts[code] += 1
        self.send_response(code)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write("\\n".join([*lines, ""]).encode())

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
name, folder = os.environ["HOSTNAME"], os.environ["FOUND"]
labels = {"pod": name, "namespace": os.environ["NAMESPACE"]}
with open(f"{folder}/{name}.part", "w") as file:
    json.dump([{"targets": [f"127.0.0.1:{server.server_address[1]}"], "labels": labels}], file)
os.rename(file.name, f"{folder}/{name}.json")

def end(*_):
    os.remove(f"{folder}/{name}.json")
    os._exit(0)

signal.signal(signal.SIGTERM, end)
server.serve_forever()
"""


def deployment(name: str, study: str, found: Path, *, bad: str, replicas: int = 2) -> dict[str, Any]:
    """Its pods answer with their parameter x; where that is `bad`, every third answer is an error."""
    container = {
        "name": "main",
        "image": "api:test",
        "command": ["python", "-c", _POD],
        "envFrom": [{"configMapRef": {"name": f"{study}-params-stable", "optional": True}}],
        "env": [
            {"name": "FOUND", "value": str(found)},
            {"name": "BAD", "value": bad},
            {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        ],
    }
    return deployed(name, container, replicas)


def deployed(name: str, container: dict[str, Any], replicas: int = 2) -> dict[str, Any]:
    """A Deployment of such containers, which may be promoted into."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"tuning.dev/promotable": "true"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    }


def promoting_study(name: str, optimum: Path, values: Sequence[float], **fields: Any) -> dict[str, Any]:
    """The best x is the one that the file names: what is best changes with the data. `fields` hold what `promotion` has
    besides, and other fields of the spec."""
    score = f"awk -v x={{x}} -v b=$(cat {optimum}) 'BEGIN{{d = x - b; print \"accuracy=\" 1 - (d < 0 ? -d : d)}}'"
    promotion = {"mode": "Automatic", "gates": {"minImprovement": 0.1}} | fields.pop("promotion")
    spec = {"retune": {"cooldown": "0s", "budget": {"trials": len(values) + 1}}} | fields
    return quick_study(
        name,
        metrics=[{"name": "accuracy", "direction": "Maximize"}],
        parameters=[{"name": "x", "type": "Categorical", "values": list(values)}],
        objective=shell(score),
        strategy={"sampler": {"type": "Grid"}},
        budget={"trials": len(values)},
        verification={"top": 1, "repeats": 3},
        promotion=promotion,
        **spec,
    )


class Load:
    """Asks the pods that there are, one after another, as a Service deals its requests out. A context manager."""

    def __init__(self, found: Path) -> None:
        self.answers: set[str] = set()
        """Parameters that served lately: a test empties it."""
        self.asked = 0
        self._found, self._over = found, threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._over.wait(0.005):
            pods = sorted(self._found.glob("*.json"))
            if not pods:
                continue
            try:
                [target] = json.loads(random.choice(pods).read_text())[0]["targets"]
                with urllib.request.urlopen(f"http://{target}/", timeout=5) as answer:
                    self.answers.add(answer.read().decode().strip())
                    self.asked += 1
            except urllib.error.HTTPError as error:
                error.close()
            except OSError:
                continue  # it has just ended


def in_production(study: Study, x: str, load: Load) -> None:
    """Until every pod serves with this x."""

    def stable(status: dict[str, Any]) -> bool:
        promotion = status.get("promotion", {})
        return (
            promotion.get("state") == "Stable" and promotion.get("stable") is not None and "candidate" not in promotion
        )

    study.wait(lambda status: stable(status) and parameter(study) == x, f"with {x} in production", 180)
    serves(study, x, load)


def serves(study: Study, x: str, load: Load) -> None:
    """Until pods with this x alone answer."""

    def answers() -> set[str]:
        before = load.asked
        load.answers.clear()
        study.kube.wait_for(lambda: load.asked, lambda asked: asked > before + 20)
        return set(load.answers)

    study.kube.wait_for(answers, lambda found: found == {x}, what=f"answers with {x}")


def parameter(study: Study) -> str:
    value: str = study.kube.get("ConfigMap", f"{study.name}-params-stable")["data"]["TUNING_PARAM_X"]
    return value
