"""Whatever a process writes into its metrics file or prints, the worker reads on."""

import io
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_worker.objectives.command import MetricsReport, _follow

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
steps_and_losses = st.fixed_dictionaries({}, optional={"step": anything, "loss": anything, "other": anything})


class Reports:
    """Takes intermediate reports as a trial does."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, dict[str, float]]] = []

    def report(self, values: dict[str, float], step: int) -> None:
        self.taken.append((step, values))


def follow(content: bytes) -> tuple[MetricsReport, Reports]:
    report, run = MetricsReport(["loss"]), Reports()
    _follow(io.BytesIO(content), report, run, ended=True)  # type: ignore[arg-type]
    return report, run


def is_sound(report: MetricsReport, run: Reports) -> bool:
    values = [report.final, *(values for _, values in run.taken)]
    return all(set(one) <= {"loss"} and all(type(value) is float for value in one.values()) for one in values)


@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    assert is_sound(*follow(content))


@given(steps_and_losses | anything)
def test_any_json(document: Any) -> None:
    report, run = follow(json.dumps(document).encode() + b"\n")
    assert is_sound(report, run)
    assert all(-(2**31) <= step < 2**31 for step, _ in run.taken)  # what the store has room for


@given(st.text(max_size=200))
def test_any_printed_line(line: str) -> None:
    report = MetricsReport(["loss"])
    report.read_printed(line)
    assert is_sound(report, Reports())


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 50_000,
        b'{"loss": ' + b"9" * 50_000 + b"}",
        b'{"loss": 1e999999}',
        b'{"loss": 1, "step": 1e999}',
        b'{"loss": 1, "step": ' + b"9" * 400 + b"}",
        b'{"loss": 1, "step": NaN}',
        b'{"loss": 1, "step": 2147483648}',
        b'{"loss": "0x1"}',
        b"\xff\xfe{}",
        b"\x00" * 100,
        b"x" * 1_000_000,
    ],
)
def test_a_line_that_was_made_to_break_the_reader_does_not_hide_the_next(line: bytes) -> None:
    report, run = follow(line + b'\n{"loss": 0.5}\n')
    assert is_sound(report, run)
    assert run.taken == []
    assert report.final == {"loss": 0.5} or math.isinf(report.final["loss"])
