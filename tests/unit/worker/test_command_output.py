"""What a process prints, cut into lines: two streams, progress bars, colours."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import MAXIMIZE
from tuning_worker.objectives.output import Lines, readable

from .runs import run_script

BAR = r"\r 50%%|#####     | 10/20 [00:00<00:00, 97.55it/s]"


def lines_of(*pieces: bytes) -> list[tuple[str, bool]]:
    lines = Lines()
    return [line for piece in pieces for line in lines.feed(piece)] + lines.rest()


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([b"one\ntwo\n"], [("one", True), ("two", True)]),
        ([b"one\r\ntwo\r\n"], [("one", True), ("two", True)]),
        ([b"one\r", b"\ntwo"], [("one", True), ("two", True)]),
        ([b"10%\r20%\rdone\n"], [("10%", False), ("20%", False), ("done", True)]),
        ([b"10%\r", b"20%\r"], [("10%", False), ("20%", True)]),
        ([b"o", b"n", b"e\n"], [("one", True)]),
        ([b"\xe2\x82", b"\xac\n"], [("€", True)]),
        ([b"\n"], [("", True)]),
        ([b""], []),
        ([b"x" * 70_000 + b"accuracy=1\nnext\n"], [("x" * 65_536, True), ("next", True)]),
    ],
)
def test_a_stream_is_cut_at_each_line_end(pieces: list[bytes], expected: list[tuple[str, bool]]) -> None:
    assert lines_of(*pieces) == expected


@given(st.binary(max_size=200), st.integers(1, 7))
def test_where_the_reads_end_makes_no_difference(data: bytes, size: int) -> None:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert lines_of(*pieces) == lines_of(data)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\x1b[1;32maccuracy=0.9\x1b[0m", "accuracy=0.9"),
        (b"\x1b[2K\x1b[1Gaccuracy=0.9", "accuracy=0.9"),
        (b"\x1b[?25haccuracy=0.9\x1b[A", "accuracy=0.9"),
        (b"\x1b[38;2;255;0;0maccuracy=0.9\x1b[m", "accuracy=0.9"),
        (b"\x1b]0;title\x07accuracy=0.9", "accuracy=0.9"),
        (b"\x1b]8;;http://host\x1b\\accuracy=0.9\x1b]8;;\x1b\\", "accuracy=0.9"),
        (b"\x1b(Baccuracy=0.9", "accuracy=0.9"),
        (b"\xef\xbb\xbfaccuracy=0.9", "accuracy=0.9"),
        (b"\x08\x08\x00accuracy=0.9\x0f", "accuracy=0.9"),
        ("naïve\t→".encode(), "naïve\t→"),
    ],
)
def test_a_line_is_what_a_terminal_would_show(raw: bytes, expected: str) -> None:
    assert readable(raw) == expected


@pytest.mark.parametrize(
    "script",
    [
        f"printf '{BAR}' >&2; echo accuracy=0.9",
        f"printf '{BAR}\\r          \\r' >&2; echo accuracy=0.9",
        f"printf '{BAR}\\r          \\r'; echo accuracy=0.9",
        f"printf '{BAR}\\raccuracy=0.9\\r'; printf '{BAR}'",
        "printf 'loading ...'; echo accuracy=0.9 >&2",
        "printf 'warning: no newline' >&2; printf accuracy=0.9",
        "printf '\\033[1maccuracy=0.9\\033[0m\\n'",
        "printf '\\357\\273\\277accuracy=0.9\\n'",
        "printf 'accuracy=0.9\\r\\n'",
        "printf 'accuracy='; sleep 0.1; printf '0.9\\n'",
    ],
)
def test_a_metric_on_a_line_of_its_own_is_read_whatever_else_is_printed(tmp_path: Path, script: str) -> None:
    assert run_script(tmp_path, script) == {"accuracy": 0.9}


def test_a_metric_after_a_real_progress_bar_is_read(tmp_path: Path) -> None:
    program = "from tqdm import tqdm\nfor _ in tqdm(range(3), leave=False): pass\nprint('accuracy=0.9')"
    assert run_script(tmp_path, f'{sys.executable} -c "$1"', args=[program]) == {"accuracy": 0.9}


def test_both_streams_are_taken_while_one_is_full(tmp_path: Path) -> None:
    script = "seq 1 50000 >&2; seq 1 50000; echo accuracy=0.9"
    assert run_script(tmp_path, script) == {"accuracy": 0.9}


def test_what_stays_on_a_terminal_is_passed_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run_script(tmp_path, f"printf '{BAR}{BAR}\\rdone\\n'; echo accuracy=0.9")
    passed_on = [line for line in capfd.readouterr().out.splitlines() if line.startswith("[trial 0]")]
    assert passed_on == ["[trial 0] done", "[trial 0] accuracy=0.9"]


def test_a_worker_whose_own_output_is_closed_reads_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "closed").open("w") as closed:
        pass
    monkeypatch.setattr(sys, "stdout", closed)
    fields = {"metrics": [MAXIMIZE]}
    assert run_script(tmp_path, "echo one; echo accuracy=0.9", fields=fields) == {"accuracy": 0.9}


def test_a_worker_that_can_write_ascii_only_reads_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "ascii").open("w", encoding="ascii") as narrow:
        monkeypatch.setattr(sys, "stdout", narrow)
        assert run_script(tmp_path, "echo '→ ✓'; echo accuracy=0.9") == {"accuracy": 0.9}
    assert r"[trial 0] \u2192 \u2713" in (tmp_path / "ascii").read_text()
