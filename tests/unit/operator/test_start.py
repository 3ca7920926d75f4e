"""The operator's start: it waits for the store's URL, which may come a moment after it."""

import threading
from pathlib import Path

from tuning_operator.__main__ import await_file


def test_the_operator_waits_for_the_file_of_a_secret_that_was_made_a_moment_ago(tmp_path: Path) -> None:
    file = tmp_path / "url"
    kubelet = threading.Timer(0.3, file.write_text, ["postgresql://tuning:secret@db/tuning"])
    kubelet.start()
    assert await_file(file)
    kubelet.join()


def test_a_secret_that_never_comes_ends_the_wait(tmp_path: Path) -> None:
    assert not await_file(tmp_path / "url", seconds=0.3)
