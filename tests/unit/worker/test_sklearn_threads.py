"""Threads of models: as many as the worker has cores, unless the manifest says another number."""

from pathlib import Path
from typing import Any

import joblib
import pytest
from structlog.testing import capture_logs

from .tabular import NUMBER, load_table, table

NUMBERS = table(colour=NUMBER)


@pytest.mark.parametrize(
    ("model", "args", "cores", "name", "want"),
    [
        ("xgboost", {}, 3, "n_jobs", 3),
        ("xgboost", {}, 1, "n_jobs", 1),
        ("xgboost", {"n_jobs": 2}, 3, "n_jobs", 2),
        ("xgboost", {"nthread": 2}, 3, "n_jobs", None),
        ("lightgbm", {}, 3, "n_jobs", 3),
        ("lightgbm", {"num_threads": 2}, 3, "n_jobs", None),
        ("catboost", {}, 3, "thread_count", 3),
        ("catboost", {"thread_count": 2}, 3, "thread_count", 2),
        ("forest", {}, 3, "n_jobs", 3),
        ("forest", {}, 1, "n_jobs", None),
        ("forest", {"n_jobs": 2}, 3, "n_jobs", 2),
        ("logistic", {}, 3, "n_jobs", None),
    ],
)
def test_a_model_has_as_many_as_its_worker(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    args: dict[str, Any],
    cores: int,
    name: str,
    want: int | None,
) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: cores)
    frame = NUMBERS.assign(y=(NUMBER > 0.5).astype(int))
    with capture_logs() as logs:
        loaded = load_table(tmp_path, frame.assign(number=NUMBER[::-1]), model, args=args)
    assert loaded._with({}, seed=1)[-1].get_params().get(name) == want
    told = [entry["threads"] for entry in logs if entry["event"] == "threads of the model"]
    assert told == ([cores] if want == cores and not args else [])
