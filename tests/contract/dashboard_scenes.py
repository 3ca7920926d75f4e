"""What operator and exporters tell in three scenes, for test_dashboards.py: a program, as each counts in its process.

`python -m contract.dashboard_scenes SCENE OPERATOR-PORT EXPORTER-PORT EXPORTER-PORT`: two replicas of the exporter.
"""

import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from builders import make_progress, make_spec
from tuning_exporter import metrics as exporter
from tuning_exporter.app import exposition
from tuning_exporter.families.study import Snapshot
from tuning_operator import metrics as operator
from tuning_store.tenants import tenant_of
from tuning_store.values import DURATION_BOUNDS, Durations
from tuning_study.budget import Counts

STARTED = time.monotonic()


def condition(kind: str, status: str, reason: str) -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason}


def body(name: str, **status: Any) -> dict[str, Any]:
    place = {"study": f"team/{name}/uid/r1"}
    return {
        "metadata": {"namespace": "team", "name": name, "uid": f"uid of {name}"},
        "status": {"round": 1, "storage": place, **status},
    }


def empty() -> Snapshot:
    """Nothing but an operator that has nothing to do."""
    return Snapshot()


def running() -> Snapshot:
    """Digits runs, ten trials a second, on one of the two workers that it should have; its model is well. It has had so
    many workers that scrapes leave some out."""
    digits = body(
        "digits",
        state="Running",
        best={"metrics": [{"name": "accuracy", "value": 0.97}]},
        pareto={"size": 4, "feasible": 4, "hypervolume": 0.7},
        workers={"desired": 2, "ready": 1},
        conditions=[condition("Running", "True", "WorkersReady")],
        production=[
            {"name": "accuracy", "value": 0.91, "time": "2026-03-08T12:00:00Z", "baseline": 0.9, "level": 0.85}
        ],
    )
    ended = int((time.monotonic() - STARTED) * 10)
    progress = make_progress(
        make_spec(budget={"trials": 100_000}),
        complete=ended,
        failed=3,
        running=1,
        counts_by_worker={f"w-{place}": Counts() for place in range(9)},
    )
    place = tenant_of("team", "cluster").schema, digits["status"]["storage"]["study"]
    durations = Durations([0] + [ended] * len(DURATION_BOUNDS), ended * 0.4)
    return Snapshot([digits], "cluster", {place: progress}, {place: durations})


def degraded() -> Snapshot:
    """Digits has degraded, is not observed in latency, and waits for its next round; letters has failed."""
    digits = body(
        "digits",
        state="Complete",
        conditions=[condition("Degraded", "True", "AccuracyDegraded"), condition("Complete", "True", "BudgetUsed")],
        production=[
            {
                "name": "accuracy",
                "value": 0.8,
                "time": "2026-03-08T12:00:00Z",
                "baseline": 0.9,
                "level": 0.85,
                "evidence": 1.4,
                "degradedSince": "2026-03-08T11:00:00Z",
            },
            {"name": "latency", "stale": True},
        ],
        retune={"episode": {"rounds": 2, "waitsFor": "Cooldown"}},
    )
    stalled = condition("Stalled", "True", "ImagePullFailed")
    letters = body("letters", state="Failed", conditions=[condition("Failed", "True", "TooManyFailures"), stalled])
    return Snapshot([digits, letters])


def much_happened() -> None:
    for _ in range(2):
        operator.retuned("team", "digits", "Degradation")
    operator.suppressed("team", "digits", "Cooldown")
    operator.asked_prometheus("Value")
    exporter.received_alerts({"stored": 3, "ignored": 1})  # by both, as they are one process
    exporter.received_observations("Pushed", 5)
    exporter.received_predictions("Stored", 40)
    exporter.received_predictions("Late", 2)


SCENES: Mapping[str, Callable[[], Snapshot]] = {"empty": empty, "running": running, "degraded": degraded}


def operator_text(scene: str) -> bytes:
    if scene != "empty":
        operator.looked(0.02)
        operator.wrote()
    return generate_latest()


def exporter_text(scene: str) -> bytes:
    with exporter.store_operation():
        snapshot = SCENES[scene]()
    return exposition(snapshot)


def serve(port: int, text: Callable[[], bytes]) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = text()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE_LATEST)
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: Any) -> None:
            pass

    threading.Thread(target=ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever).start()


def main(scene: str, operator_port: str, *exporter_ports: str) -> None:
    operator.leading(True)
    operator.observed(len(SCENES[scene]().studies))
    if scene == "degraded":
        much_happened()
    serve(int(operator_port), lambda: operator_text(scene))
    for port in exporter_ports:
        serve(int(port), lambda: exporter_text(scene))


if __name__ == "__main__":
    main(*sys.argv[1:])
