"""A study in a notebook, run by a real kernel: what its cells show, and that the study itself is in reach."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

SETUP = """\
import tuning

def helper(x):
    return (x - 2) ** 2
"""
OBJECTIVE = """\
def train(params):
    return helper(params["x"])
"""
TUNE = 'study = tuning.tune(train, parameters={"x": (-10.0, 10.0)}, trials=20, workers=2, seed=1)\nstudy'


def execute(folder: Path, *cells: str) -> list[str]:
    """Each cell's outputs as HTML or text."""
    empty: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    code = [{**empty, "source": cell} for cell in cells]
    notebook = nbformat.from_dict({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": code})
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute()
    return ["\n".join(map(_shown, cell.outputs)) for cell in notebook.cells]


def _shown(output: nbformat.NotebookNode) -> str:
    if output.output_type == "stream":
        return str(output.text)
    return str(output.data.get("text/html") or output.data["text/plain"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_notebook_tunes_a_function_of_its_cells(tmp_path: Path) -> None:
    cells = [SETUP, OBJECTIVE, TUNE, "study.optuna.best_value == study.best_value", OBJECTIVE, TUNE]
    shown = execute(tmp_path, *cells)
    progress, _, value = shown[2].partition("\n")
    assert "20/20 trials" in progress and "<b>train</b>" in progress
    assert "train: complete, all trials of the budget are done; 20 complete" in value
    assert "<script" not in shown[2]
    assert shown[3] == "True"
    assert "begins" not in shown[5], "the cells run again mean the same study, which is complete"


BREAKS = """\
def breaks(params):
    rows = {"x": 1}
    return rows["age"]
"""
ASK = """\
try:
    tuning.tune(breaks, parameters={"x": (0, 9)}, trials=20, workers=1, progress=False)
except tuning.TuningError as error:
    print(error)
"""


def test_a_typo_in_a_cell_is_told_with_its_line(tmp_path: Path) -> None:
    shown = execute(tmp_path, SETUP, BREAKS, ASK)
    assert "the first 3 trials failed alike: KeyError: 'age'" in shown[2]
    assert ', line 3, in breaks\n    return rows["age"]' in shown[2]
