"""What Argo Rollouts, Flagger and we make of each answer of a Prometheus, as a table: the answers, and ours.

Ours is the whole way from the bytes to the verdict. The answer comes to a plain guard, the one form that takes a share
of errors as theirs do; a counter is read in the same way.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from canary_rules import MOST, Answer, argo, flagger

from tuning_prometheus.answer import Missing, read_answer
from tuning_prometheus.client import MAX_BODY
from tuning_study.api.canary import Canary
from tuning_study.promotion.canary import looks
from tuning_study.promotion.canary.analysis import begin, judge, observe

_AT = 1_780_000_000
_START = datetime(2026, 6, 1, tzinfo=UTC)
_LOOKS = 21
_CALLED = {"Harm": "aborted", "Better": "promoted", "Unknown": "unknown"}
_CANARY = Canary.model_validate(
    {
        "metrics": [
            {"name": "errors", "bad": "bad{ {{variant}} }", "total": "total{ {{variant}} }", "margin": 0.02},
            {"name": "share", "query": "errors{ {{variant}} } / requests{ {{variant}} }", "max": MOST},
        ]
    }
)


def answered(kind: str, result: Any, **beside: Any) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}} | beside).encode()


def vector(*values: str, **beside: Any) -> bytes:
    series = [{"metric": {"pod": f"p{n}"}, "value": [_AT, each]} for n, each in enumerate(values)]
    return answered("vector", series, **beside)


_HISTOGRAM = {"metric": {}, "histogram": [_AT, {"count": "60", "sum": "30", "buckets": [[0, "0", "1", "60"]]}]}
_ERROR = json.dumps({"status": "error", "errorType": "execution", "error": "found duplicate series"}).encode()
_LONG = vector("0.01")[:-1] + b" " * MAX_BODY + b"}"

ANSWERS = (
    Answer("one series, 0.01", vector("0.01")),
    Answer("one series, 0.50", vector("0.50")),
    Answer("no series", vector()),
    Answer("NaN, as 0/0 is", vector("NaN")),
    Answer("+Inf", vector("+Inf")),
    Answer("two series, 0.01 and 0.50", vector("0.01", "0.50")),
    Answer("two series, 0.50 and 0.01", vector("0.50", "0.01")),
    Answer("matrix", answered("matrix", [{"metric": {}, "values": [[_AT, "0.01"]]}])),
    Answer("scalar, 0.01", answered("scalar", [_AT, "0.01"])),
    Answer("string", answered("string", [_AT, "0.01"])),
    Answer("native histogram", answered("vector", [_HISTOGRAM])),
    Answer("an error, with HTTP 422", _ERROR, status=422),
    Answer("an error, with HTTP 200", _ERROR),
    Answer("0.01 of a part of the data", vector("0.01", warnings=["No StoreAPIs matched for this query"])),
    Answer("HTTP 503", b"", status=503, content_type="text/plain"),
    Answer("nothing for 30 seconds", hangs=True),
    Answer("0.01 in a body that is too large", _LONG),
    Answer("a redirect to a login", b"", status=302, content_type="text/html"),
    Answer("HTML", b"<!doctype html>", content_type="text/html"),
)
"""One good and one bad answer, and the sixteen that are neither."""


def ours(answer: Answer) -> str:
    """The verdict at the end of a canary's time whose counters are well, and whose guard always has this answer."""
    given = _given(answer)
    state = begin(_CANARY, _START)
    for number in range(1, _LOOKS + 1):
        well = looks.Counters(20.0 * number, 1000.0 * number)
        at = _START + number * timedelta(seconds=30)
        state = observe(_CANARY, state, looks.Look(at, {"errors": looks.Sides(well, well)}, {"share": given}))
    return _CALLED[judge(_CANARY, state).outcome]


def _given(answer: Answer) -> looks.Answer:
    """As the operator reads it: no series is told apart from all else that is no number."""
    if answer.hangs:
        return looks.Unread("the server does not answer in time")
    if len(answer.body) > MAX_BODY:
        return looks.Unread("the answer is too large")
    found = read_answer(answer.status, answer.content_type, answer.body)
    if isinstance(found, Missing):
        return None if found.outcome == "Empty" else looks.Unread(found.reason)
    return found.value


def rows() -> Iterator[tuple[str, ...]]:
    for answer in ANSWERS:
        by_argo = (argo(answer, conditions) for conditions in ("failure", "success", "failure and success"))
        yield answer.name, *by_argo, flagger(answer), ours(answer)


def show() -> None:
    head = ("answer", "Argo, failureCondition", "Argo, successCondition", "Argo, both", "Flagger", "ours")
    print("\nWhat becomes of a canary whose query always has this answer\n")
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows():
        print(f"| {' | '.join(row)} |", flush=True)
