"""`tuning canary replay` over the history of a real Prometheus: two canaries of the past, one of which did harm."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from builders import make_manifest_spec, make_study

from . import servers

START = (datetime.now(UTC) - timedelta(hours=1)).replace(microsecond=0)
MINUTES = 20
PODS = {"api-5d4f6-abcde": 0.01, "api-canary-00000bad-7c9-aaaaa": 0.10, "api-canary-0000900d-7c9-aaaaa": 0.01}
ERRORS = {
    "name": "errors",
    "bad": 'sum(requests_total{code="500", {{variant}}})',
    "total": "sum(requests_total{ {{variant}} })",
    "margin": 0.02,
}


def history() -> str:
    """Of three pods that answered 20 requests a second each, in OpenMetrics' text."""
    lines = ["# TYPE requests counter"]
    for pod, share in PODS.items():
        for code, rate in (("200", 20 * (1 - share)), ("500", 20 * share)):
            for second in range(0, MINUTES * 60, 10):
                value = round(rate * second)
                labels = f'namespace="default",pod="{pod}",code="{code}"'
                lines.append(f"requests_total{{{labels}}} {value} {START.timestamp() + second:.0f}")
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "history").write_text(history())
    backfill = ["tsdb", "create-blocks-from", "openmetrics", str(folder / "history"), str(folder / "data")]
    subprocess.run([servers.program("promtool", "prometheus"), *backfill], check=True, capture_output=True)
    with servers.prometheus(folder) as running:
        yield running


def replay(folder: Path, url: str, *arguments: str, **canary: object) -> subprocess.CompletedProcess[str]:
    promotion = {"target": {"deployment": {"name": "api"}}, "canary": {"metrics": [ERRORS], **canary}}
    study = make_study("model", **make_manifest_spec(verification={"top": 1}, promotion=promotion))
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    command = [sys.executable, "-m", "tuning_cli.app", "canary", "replay", "--file", str(folder / "study.yaml")]
    began = ["--from", START.astimezone().strftime("%Y-%m-%dT%H:%M:%S"), "--prometheus", url]
    return subprocess.run([*command, *began, *arguments], capture_output=True, text=True, timeout=60)


def test_a_canary_of_the_past_that_did_harm_would_have_been_rolled_back(tmp_path: Path, url: str) -> None:
    ran = replay(tmp_path, url, "--canary-pods", "api-canary-00000bad-.*")
    assert ran.returncode == 0, ran.stderr
    last = ran.stdout.splitlines()[-1]
    assert last.startswith("rolled back after ") and "the canary is worse than stable" in last


def test_one_that_did_none_would_have_been_promoted_at_the_end_of_its_time(tmp_path: Path, url: str) -> None:
    ran = replay(tmp_path, url, "--canary-pods", "api-canary-0000900d-.*")
    assert ran.stdout.splitlines()[-1].startswith("promoted after 10m: errors: the canary is not worse by the margin")


def test_counts_that_were_pushed_have_no_history(tmp_path: Path, url: str) -> None:
    pods, pushed = ("--canary-pods", "api-canary-0000900d-.*"), {"name": "complaints", "push": {}}
    ran = replay(tmp_path, url, *pods, metrics=[ERRORS, pushed])
    *_, left_out, verdict = ran.stdout.splitlines()
    assert left_out == "left out, as no Prometheus has counts that were pushed: complaints"
    assert verdict.startswith("promoted after 10m: errors")
    refused = replay(tmp_path, url, *pods, metrics=[pushed])
    assert refused.returncode == 2 and "no Prometheus has counts that are pushed" in refused.stderr


def test_too_short_a_time_is_undecided_and_programs_get_every_look(tmp_path: Path, url: str) -> None:
    end = (START + timedelta(seconds=30)).astimezone().strftime("%Y-%m-%dT%H:%M:%S")
    ran = replay(tmp_path, url, "--canary-pods", "api-canary-0000900d-.*", "--to", end, "-o", "json")
    told = json.loads(ran.stdout)
    assert (told["verdict"], told["decision"]) == ("Unknown", "RollBack")
    looks = told["looks"]
    assert looks[-1]["verdict"] == "Unknown" and looks[-1]["metrics"][0]["stableSamples"] > 100
    assert datetime.fromisoformat(looks[-1]["time"]) == START + timedelta(seconds=30)


def test_an_interval_that_is_not_over_is_told(tmp_path: Path, url: str) -> None:
    ran = replay(tmp_path, url, **{"for": "6h"})
    assert ran.returncode == 2 and "which is yet to come" in ran.stderr


def test_a_query_that_prometheus_refuses_is_told_at_once(tmp_path: Path, url: str) -> None:
    ran = replay(tmp_path, url, metrics=[ERRORS | {"bad": "sum(requests_total{ {{variant}} }"}])
    assert ran.returncode == 2 and "the server refuses the query: " in ran.stderr
    assert "parse error" in ran.stderr and 'namespace="default"' in ran.stderr


def test_nobody_at_the_url_is_told(tmp_path: Path) -> None:
    ran = replay(tmp_path, f"http://127.0.0.1:{servers.free_port()}")
    assert ran.returncode == 2 and "--prometheus: the server does not answer" in ran.stderr
