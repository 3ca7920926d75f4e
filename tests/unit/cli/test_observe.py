"""`tuning observe`: what is written of values and of counts, and what is said of anything else."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tuning_cli.app import app
from tuning_client.cluster import client, observing
from tuning_client.exceptions import WrongUse

R3 = "digits-params-r3-1a2b3c4d"


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Paths and bodies, which an exporter has taken whose canary compares the parameters R3."""
    found: list[tuple[str, dict[str, Any]]] = []

    def post(_: object, __: object, path: str, body: dict[str, Any]) -> dict[str, int]:
        found.append((path, body))
        if path == "/predictions":
            return {"stored": len(body["predictions"] + body["labels"]), "known": 1, "late": 2}
        return {"stored": int(body.get("parameters") == R3)}

    monkeypatch.setattr(observing, "_post", post)
    monkeypatch.setattr(client, "connect", lambda _context, _namespace: None)
    return found


def observe(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["observe", "digits", *arguments])


def test_values_with_their_samples(sent: list[Any]) -> None:
    assert observe("accuracy=0.91", "f1=0.8", "--samples", "200").exit_code == 0
    metrics = {"accuracy": {"value": 0.91, "samples": 200}, "f1": {"value": 0.8, "samples": 200}}
    assert sent == [("/observations", {"study": "digits", "metrics": metrics})]


def test_counts_of_requests_with_some_parameters(sent: list[Any]) -> None:
    told = observe("errors=3/200", "--parameters", R3, "--sender", "nightly").output
    assert told == "digits is told errors=3/200; `tuning status digits` shows what it makes of it\n"
    counts = {"errors": {"bad": 3, "total": 200}}
    assert sent == [("/counts", {"study": "digits", "parameters": R3, "sender": "nightly", "counts": counts})]


def test_that_no_canary_compares_these_parameters_is_told() -> None:
    assert (
        "but no canary compares digits-params-r1-0 now"
        in observe("errors=3/200", "--parameters", "digits-params-r1-0").output
    )


def test_predictions_and_labels_of_a_file(tmp_path: Path, sent: list[Any]) -> None:
    file = tmp_path / "told.csv"
    file.write_text("id,prediction,label,score\na,fraud,ok,0.9\nb,1,,0.2\n")
    told = observe("--predictions", str(file)).output
    assert told.startswith(
        "digits is told 2 predictions; 1 labels; 1 of them known before; "
        "2 too late to count: their windows are over; not read: 'score'. "
    )
    [(path, body)] = sent
    assert path == "/predictions"
    assert body["predictions"] == [{"id": "a", "value": "fraud"}, {"id": "b", "value": "1"}]
    assert body["labels"] == [{"id": "a", "value": "ok"}]


WRONG = [
    (("accuracy",), "'accuracy' is no observation: write a metric and a number, such as accuracy=0.91"),
    (("errors=3/200",), "such as accuracy=0.91; counts of a canary's requests need --parameters"),
    (("errors=3", "--parameters", R3), "'errors=3' counts no requests: write a metric, bad ones and all"),
    (("errors=-1/200", "--parameters", R3), "'errors=-1/200' counts no requests"),
    (("errors=3/200", "--parameters", R3, "--samples", "9"), "--samples says nothing beside --parameters"),
    (("accuracy=0.91", "--sender", "nightly"), "--sender says nothing beside values: leave one of them out"),
    (("accuracy=0.91", "--predictions", "told.csv"), "METRIC=VALUE says nothing beside --predictions"),
    ((), "nothing to tell: write a metric and a number, such as accuracy=0.91, or --predictions FILE"),
    (("--predictions", "none.csv"), "none.csv: No such file or directory"),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG)
def test_what_is_said_of_anything_else(arguments: tuple[str, ...], sentence: str, sent: list[Any]) -> None:
    refused = observe(*arguments).exception
    assert isinstance(refused, WrongUse) and sentence in str(refused)
    assert sent == []
