import os
from pathlib import Path

import pytest

from tuning_worker.logs import _OwnStderr


def test_a_stream_of_our_own_outlives_a_closed_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    stream = _OwnStderr()
    stream.write("first \ud800\n")
    assert capfd.readouterr().err == "first \\ud800\n"


def test_what_is_written_after_an_objective_closed_it_goes_nowhere(tmp_path: Path) -> None:
    stream = _OwnStderr()
    number = stream._descriptor
    os.close(number)
    stream.write("lost\n")

    other = os.open(tmp_path / "of the user", os.O_WRONLY | os.O_CREAT)
    os.dup2(other, number)  # the number is given to another file, or to a connection
    stream.write("not into that one\n")
    for descriptor in {other, number}:
        os.close(descriptor)
    assert (tmp_path / "of the user").read_text() == ""
