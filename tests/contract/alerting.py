"""The rules, and the configuration of docs/alerts.md, as the tests of both read them."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from . import servers

ROOT = Path(__file__).parents[2]
RULES = ROOT / "charts/tuning-operator/files/rules.yaml"


def read(text: str) -> Any:
    return YAML(typ="safe").load(text)


def alerts() -> dict[str, Any]:
    """The rules by their alerts' names."""
    return {rule["alert"]: rule for group in read(RULES.read_text())["groups"] for rule in group["rules"]}


def block(page: str, words: str) -> str:
    """The one YAML block of a page that has these words."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    [found] = [one for one in blocks if words in one]
    return str(found)


def promtool(*arguments: str) -> str:
    return _run(servers.program("promtool", "prometheus"), *arguments)


def amtool(*arguments: str) -> str:
    return _run(servers.program("amtool", "prometheus-alertmanager"), *arguments)


def routed(document: Any, folder: Path, **labels: str) -> str:
    """The receivers of an alert with these labels, by this configuration of Alertmanager."""
    path = folder / "alertmanager.yaml"
    path.write_text(json.dumps(document))
    told = [f"{name}={value}" for name, value in labels.items()]
    return amtool("config", "routes", "test", f"--config.file={path}", *told).strip()


def _run(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
