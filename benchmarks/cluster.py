"""A study on the cluster that KUBECONFIG names: when its first trial starts, how long 100 trials of a second take with
eight workers, and what the API server had to write for it. Its peers stand in docs/performance.md."""

import json
import math
import re
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from machine import describe

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "manifests" / "samples" / "sleep.yaml"
NAME = "sleep"


def main() -> None:
    print(describe())
    for workers, trials in ((8, 100), (3, 30)):
        _measure(workers, trials)


def _measure(workers: int, count: int) -> None:
    print(f"\n{count} trials that sleep for 1 s, {workers} workers")
    manifest = (
        SAMPLE.read_text().replace("trials: 100", f"trials: {count}").replace("replicas: 8", f"replicas: {workers}")
    )
    _kubectl("delete", "tstudy", NAME, "--ignore-not-found", "--wait")
    time.sleep(5)  # the last one's pods
    before = _writes()
    began = time.time()
    _kubectl("apply", "-f", "-", stdin=manifest)
    _kubectl("wait", "--for=condition=Complete", f"tstudy/{NAME}", "--timeout=120s")
    seconds = time.time() - began
    time.sleep(3)  # the pods' own ends
    written = {key: count - before.get(key, 0) for key, count in _writes().items() if count > before.get(key, 0)}
    logs = [
        json.loads(line)
        for line in _kubectl("logs", "-l", f"tuning.dev/study={NAME}", "--tail=-1").splitlines()
        if line.startswith("{")
    ]
    trials = [line for line in logs if line["event"] == "trial ended"]
    first = min(_time(line) for line in trials) - 1.0  # each sleeps for a second
    print(f"apply → first trial starts     {first - began:6.1f} s")
    print(f"apply → Complete               {seconds:6.1f} s, ideally {math.ceil(count / workers)} s")
    ours = sum(number for (_, verb), number in written.items() if verb == "APPLY")
    print(f"API writes: {sum(written.values())} by everybody, kubelet and Events included; {ours} are the operator's")
    for (resource, verb), number in sorted(written.items(), key=lambda entry: -entry[1]):
        print(f"  {number:5d}  {verb:8} {resource}")


def _time(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["timestamp"]).timestamp()


def _writes() -> dict[tuple[str, str], int]:
    """Writes by resource and verb since the API server's start; Leases are everybody's heartbeat, not the study's."""
    found: dict[tuple[str, str], int] = {}
    for line in _kubectl("get", "--raw", "/metrics").splitlines():
        if not line.startswith("apiserver_request_total{"):
            continue
        labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
        if labels["verb"] not in ("POST", "PUT", "PATCH", "APPLY", "DELETE") or labels["resource"] in (
            "leases",
            "tokenreviews",
            "subjectaccessreviews",
        ):
            continue
        resource = "/".join(filter(None, (labels["resource"], labels["subresource"])))
        key = (resource, labels["verb"])
        found[key] = found.get(key, 0) + int(float(line.rsplit(" ", 1)[1]))
    return found


def _kubectl(*arguments: str, stdin: str | None = None) -> str:
    return subprocess.run(["kubectl", *arguments], input=stdin, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
