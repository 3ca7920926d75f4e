"""Whatever a process writes into its metrics file or prints, the worker reads on, and finds a plain line after it."""

import json
import math
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_worker.objectives.metrics_file import MetricsFile
from tuning_worker.objectives.metrics_report import MetricsReport
from tuning_worker.objectives.output import Lines

from .runs import make_report

Reports = list[tuple[int, dict[str, float]]]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
steps_and_losses = st.fixed_dictionaries({}, optional={"step": anything, "loss": anything, "other": anything})
near_json = st.lists(st.sampled_from([b"{", b"}", b'"loss"', b": ", b"1", b",", b"\n", b"[", b'"', b"\\"]), max_size=30)
bytes_of_any_kind = st.binary(max_size=300) | near_json.map(b"".join)
PRINTED = [b"loss", b"=", b":", b" ", b"0.5", b"nan", b"\x1b[0m", b"\x1b]", b"\r", b"\n", b"\xff", b"Loss", b","]
near_lines = st.lists(st.sampled_from(PRINTED), max_size=30).map(b"".join)


def follow(*contents: bytes) -> tuple[MetricsReport, Reports]:
    """Each content is the whole file for a while; they are rewritten in place, and read as a trial does."""
    report = make_report("loss")
    with tempfile.TemporaryDirectory() as folder, closing(MetricsFile(Path(folder) / "metrics")) as file:
        taken: Reports = []
        for content in contents:
            (Path(folder) / "metrics").write_bytes(content)
            taken += report.read_file(file.new_entries())
        taken += report.read_whole_file(file.all_entries())
    return report, taken


def listen(printed: bytes, report: MetricsReport) -> None:
    lines = Lines()
    for line, _ in lines.feed(printed) + lines.rest():
        report.read_printed(line)


def is_sound(report: MetricsReport, taken: Reports) -> bool:
    values = [report.final, *(values for _, values in taken)]
    return all(set(one) <= {"loss"} and all(type(value) is float for value in one.values()) for one in values)


@given(bytes_of_any_kind, bytes_of_any_kind)
def test_any_bytes_in_the_file(before: bytes, content: bytes) -> None:
    report, taken = follow(before, content)
    assert is_sound(report, taken)
    assert all(len(text) < 1000 for text in report.hints(["loss"])) or len(report.misread) == 5


@given(bytes_of_any_kind)
def test_a_plain_last_line_of_the_file_is_found_after_any_bytes(content: bytes) -> None:
    report, _ = follow(content, content + b'\n}\n"\n{"loss": 0.25}\n')
    assert report.final == {"loss": 0.25}


@given(steps_and_losses | anything, st.sampled_from([None, 2]))
def test_any_json(document: Any, indent: int | None) -> None:
    report, taken = follow(json.dumps(document, indent=indent).encode() + b"\n")
    assert is_sound(report, taken)
    assert all(0 <= step < 2**31 for step, _ in taken)  # what Optuna takes, and the store has room for


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1)), max_size=20), st.integers(1, 5))
def test_each_step_is_reported_once_however_often_the_file_is_written(
    pairs: list[tuple[int, float]], times: int
) -> None:
    lines = [json.dumps({"loss": loss, "step": step}) + "\n" for step, loss in pairs]
    contents = ["".join(lines[: (n + 1) * len(lines) // times]).encode() for n in range(times)]
    _, taken = follow(*contents)
    steps = [step for step, _ in taken]
    assert sorted(steps) == sorted({step for step, _ in pairs})


@given(near_lines | st.binary(max_size=200), near_lines | st.binary(max_size=200))
def test_a_plain_last_line_on_one_stream_is_found_after_any_bytes_on_both(first: bytes, second: bytes) -> None:
    report = make_report("loss")
    listen(second, report)
    listen(first + b"\a\n\nloss=0.25\n", report)
    assert report.final == {"loss": 0.25}
    assert is_sound(report, [])


@given(st.text(max_size=200))
def test_any_printed_line(line: str) -> None:
    report = make_report("loss")
    report.read_printed(line)
    assert is_sound(report, [])
    assert all(isinstance(text, str) for text in report.hints(["loss"]))


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 50_000,
        b'{"a":' * 50_000,
        b'{"loss": ' + b"9" * 50_000 + b"}",
        b'{"loss": 1e999999}',
        b'{"loss": 1, "step": 1e999}',
        b'{"loss": 1, "step": ' + b"9" * 400 + b"}",
        b'{"loss": 1, "step": NaN}',
        b'{"loss": 1, "step": 2147483648}',
        b'{"loss": 1, "step": -1}',
        b'{"loss": "0x1"}',
        b'{"loss": {}}',
        b"\xff\xfe{}",
        b"\x00" * 100,
        b"x" * 9_000_000,
    ],
)
def test_a_line_that_was_made_to_break_the_reader_does_not_hide_the_next(line: bytes) -> None:
    report, taken = follow(line + b'\n{"loss": 0.5}\n')
    assert is_sound(report, taken)
    assert taken == []
    assert report.final == {"loss": 0.5} or math.isinf(report.final["loss"])
