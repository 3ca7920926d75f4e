"""docs/reports.md names a test for each report, and the test is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(r"^\| (\d+) \|.*\|.*\| (.*) \|$", (ROOT / "docs/reports.md").read_text(), re.MULTILINE)


def test_there_are_twenty() -> None:
    assert [number for number, _ in ROWS] == [str(number) for number in range(1, 21)]


@pytest.mark.parametrize(("number", "tests"), ROWS)
def test_each_has_a_test(number: str, tests: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", tests)
    assert named, f"report {number} has none"
    for file, name in named:
        inside: list[ast.stmt] = ast.parse((ROOT / file).read_text()).body
        for part in name.split("::"):
            found = [node for node in inside if getattr(node, "name", None) == part]
            assert found, f"{file} has no {name}"
            inside = getattr(found[0], "body", [])
