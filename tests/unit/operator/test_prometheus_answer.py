"""Every answer that a Prometheus, and what stands in its place, may give."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_prometheus.answer import OUTCOMES, Missing, Value, read_answer

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
AT = NOON.timestamp()
JSON = "application/json"
HISTOGRAM = {"count": "60", "sum": "12.5", "buckets": [[0, "0.5", "1", "60"]]}


def answer(kind: str, result: Any, **beside: Any) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}, **beside}).encode()


def vector(*values: str, **beside: Any) -> bytes:
    series = [{"metric": {"pod": f"api-{n}"}, "value": [AT, value]} for n, value in enumerate(values)]
    return answer("vector", series, **beside)


def refusal(kind: str, message: str = "parse error") -> bytes:
    return json.dumps({"status": "error", "errorType": kind, "error": message}).encode()


@pytest.mark.parametrize(
    ("body", "value"),
    [
        pytest.param(vector("0.97"), 0.97, id="one-series"),
        pytest.param(vector("0"), 0.0, id="zero"),
        pytest.param(vector("-1e-308"), -1e-308, id="small"),
        pytest.param(vector("179769313486231570000"), 1.7976931348623157e20, id="many-digits"),
        pytest.param(answer("scalar", [AT, "0.97"]), 0.97, id="scalar"),
    ],
)
def test_one_finite_number_is_a_value_with_its_time(body: bytes, value: float) -> None:
    assert read_answer(200, JSON, body) == Value(value, NOON)


@pytest.mark.parametrize(
    "beside",
    [
        {"warnings": ["PromQL warning: bucket label is missing"]},
        {"infos": ["PromQL info: metric might not be a counter"]},
        {"warnings": ["PromQL info: metric might not be a counter"]},  # Prometheus 2.48 to 2.54
    ],
)
def test_a_remark_on_the_query_is_kept_beside_the_value(beside: dict[str, list[str]]) -> None:
    [remark] = next(iter(beside.values()))
    assert read_answer(200, JSON, vector("0.97", **beside)) == Value(0.97, NOON, (remark,))


MISSING = [
    ("empty", 200, JSON, vector(), "Empty", "last_over_time"),
    ("nan", 200, JSON, vector("NaN"), "NaN", "0/0"),
    ("nan-scalar", 200, JSON, answer("scalar", [AT, "NaN"]), "NaN", "0/0"),
    ("nan-token", 200, JSON, b'{"status": "success", "data": {"resultType": "scalar", "result": [1, NaN]}}', "NaN", ""),
    ("infinite", 200, JSON, vector("+Inf"), "Infinite", "denominator"),
    ("minus-infinite", 200, JSON, vector("-Inf"), "Infinite", "denominator"),
    ("beyond-floats", 200, JSON, vector("1e400"), "Infinite", ""),
    ("two-series", 200, JSON, vector("1", "2"), "ManySeries", "2 series: aggregate them, as in sum(…)"),
    ("two-of-which-one-nan", 200, JSON, vector("0.9", "NaN"), "ManySeries", "2 series"),
    ("matrix", 200, JSON, answer("matrix", [{"metric": {}, "values": [[AT, "1"]]}]), "Matrix", "avg_over_time"),
    ("text", 200, JSON, answer("string", [AT, "0.97"]), "Text", "number"),
    ("histogram", 200, JSON, answer("vector", [{"metric": {}, "histogram": [AT, HISTOGRAM]}]), "Histogram", "quantile"),
    ("wrong-query", 400, JSON, refusal("bad_data"), "Error", "parse error"),
    ("not-to-be-run", 422, JSON, refusal("execution", "found duplicate series"), "Error", "duplicate series"),
    ("error-with-200", 200, JSON, refusal("execution"), "Error", "parse error"),
    ("error-without-reason", 400, JSON, b'{"status": "error"}', "Error", "no reason given"),
    ("too-slow", 503, JSON, refusal("timeout", "query timed out"), "Timeout", "recording rule"),
    ("shutting-down", 503, JSON, refusal("canceled", "query was canceled"), "Unavailable", "asked again"),
    ("broken", 500, JSON, refusal("internal", "disk"), "Unavailable", "disk"),
    ("too-many-requests", 429, JSON, refusal("too_many_requests", "slow down"), "Unavailable", "slow down"),
    ("thanos", 200, JSON, vector("1", warnings=["No StoreAPIs matched for this query"]), "Partial", "No StoreAPIs"),
    ("remote-read", 200, JSON, vector(warnings=["remote storage: 500"]), "Partial", "remote storage"),
    ("victoria-metrics", 200, JSON, vector("1", isPartial=True), "Partial", "part of its data"),
    ("bad-gateway", 502, "text/html", b"<html>502</html>", "Unavailable", "502"),
    ("unavailable", 503, "text/plain", b"", "Unavailable", "503"),
    ("success-with-503", 503, JSON, vector("1"), "Unavailable", "503"),
    ("redirect", 302, "text/html", b"", "Redirect", "write the URL that it leads to"),
    ("not-modified", 304, "", b"", "Redirect", "304"),
    ("no-credentials", 401, "text/html", b"", "Unauthorized", "`token`"),
    ("not-allowed", 403, JSON, refusal("bad_data"), "Unauthorized", "`password`"),
    ("wrong-path", 404, "text/plain", b"404 page not found", "NotFound", "up to where `/api` begins"),
    ("wrong-method", 405, "text/plain", b"", "Error", "405"),
    ("html", 200, "text/html; charset=utf-8", b"<!doctype html>", "NotJson", "text/html"),
    ("nothing", 200, "", b"", "NotJson", "without a type"),
    ("cut-short", 200, JSON, vector("0.97")[:-9], "NotJson", ""),
    ("not-utf8", 200, JSON, b'{"status": "\xff"}', "NotJson", ""),
    ("nested-without-end", 200, JSON, b"[" * 100_000, "NotJson", ""),
    ("another-api", 200, JSON, b'{"ok": true}', "Malformed", "status"),
    ("a-list", 200, JSON, b"[]", "Malformed", ""),
    ("no-data", 200, JSON, b'{"status": "success"}', "Malformed", "no data"),
    ("unknown-type", 200, JSON, answer("tensor", []), "Malformed", "resultType"),
    ("no-value", 200, JSON, answer("vector", [{"metric": {}}]), "Malformed", "no value"),
    ("no-number", 200, JSON, vector("high"), "Malformed", "number"),
    ("no-time", 200, JSON, answer("scalar", [1e300, "1"]), "Malformed", "time"),
    ("nan-time", 200, JSON, answer("scalar", ["NaN", "1"]), "Malformed", "time"),
]


@pytest.mark.parametrize(
    ("status", "content_type", "body", "outcome", "words"), [pytest.param(*case[1:], id=case[0]) for case in MISSING]
)
def test_all_else_is_missing_with_a_reason(
    status: int, content_type: str, body: bytes, outcome: str, words: str
) -> None:
    found = read_answer(status, content_type, body)
    assert isinstance(found, Missing)
    assert found.outcome == outcome
    assert words in found.reason


def test_what_a_server_says_is_kept_short() -> None:
    loud = "x" * 100_000
    missing = read_answer(422, JSON, refusal("execution", loud))
    assert isinstance(missing, Missing) and len(missing.reason) < 400
    value = read_answer(200, JSON, vector("1", infos=[loud] * 1000))
    assert isinstance(value, Value) and sum(map(len, value.warnings)) < 4000


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("NaN") | st.just("1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
series = st.fixed_dictionaries({}, optional={"metric": anything, "value": anything, "histogram": anything})
data = st.fixed_dictionaries(
    {
        "resultType": st.sampled_from(["vector", "scalar", "string", "matrix", "?"]),
        "result": st.lists(series) | anything,
    }
)
answers = st.fixed_dictionaries(
    {"status": st.sampled_from(["success", "error"]) | anything},
    optional=dict.fromkeys(("error", "errorType", "warnings", "infos", "isPartial"), anything)
    | {"data": data | anything},
)
statuses = st.sampled_from([200, 204, 301, 400, 401, 404, 422, 429, 500, 503]) | st.integers(100, 999)
bodies = (answers | anything).map(lambda document: json.dumps(document).encode()) | st.binary(max_size=64)


@given(statuses, st.text(max_size=80), bodies)
def test_no_answer_is_beyond_it(status: int, content_type: str, body: bytes) -> None:
    found = read_answer(status, content_type, body)
    if isinstance(found, Missing):
        assert found.outcome in OUTCOMES and 10 < len(found.reason) < 600
    else:
        assert abs(found.value) < float("inf")
