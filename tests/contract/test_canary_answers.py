"""The table of docs/canary.md: what Argo's and Flagger's rules and ours make of each answer of a Prometheus."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_documented_table_is_what_the_command_prints() -> None:
    command = [sys.executable, str(ROOT / "benchmarks/canary.py"), "--answers"]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert printed.returncode == 0, printed.stderr
    rows = [line for line in printed.stdout.splitlines() if line.startswith("| ")]
    assert len(rows) == 20
    documented = (ROOT / "docs/canary.md").read_text().splitlines()
    assert [row for row in rows if row not in documented] == []
