"""What `make bench-canary` compares us with: how Argo Rollouts and Flagger decide by one answer of a Prometheus.

Written down here from their sources (Argo Rollouts 9f8d111, Flagger 15bd6ad): nothing of them is installed. The metric
is the canary's share of errors and may be at most 5 %; the same answer comes each time that they ask.
"""

import json
from dataclasses import dataclass
from typing import Any

MOST = 0.05


@dataclass(frozen=True)
class Answer:
    """Of `/api/v1/query`."""

    name: str
    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    hangs: bool = False


class Refused(Exception):
    """The answer gives no value."""


def argo(answer: Answer, conditions: str) -> str:
    """An AnalysisRun with `failureCondition: result[0] > 0.05`, with `successCondition: result[0] <= 0.05`, or with
    both, and the defaults: one failed or inconclusive measurement is too many, and so is the fifth error in succession.

    A condition that is not given is the opposite of the other. So what is not above 0.05 is a success by the first, and
    what is not at most 0.05 a failure by the second: NaN is neither above nor at most. A native histogram is a sample
    whose value is 0 to the client library.
    """
    try:
        data = _data(answer)
        if data["resultType"] != "vector":
            raise Refused("result[0] is there for vectors only")
        first = data["result"][0]
    except (Refused, IndexError):
        return "aborted"
    value = float(first["value"][1]) if "value" in first else 0.0
    fails = value > MOST if "failure" in conditions else not value <= MOST
    succeeds = value <= MOST if "success" in conditions else not fails
    return "aborted" if fails else "promoted" if succeeds else "paused"


def flagger(answer: Answer) -> str:
    """A metric with `thresholdRange: {max: 0.05}`. Whatever is no value is a failed check, as is a value above; as many
    of them as its `threshold` roll back. Of several series the last one counts."""
    try:
        if answer.status >= 400 or answer.hangs:
            raise Refused
        result = _json(answer.body).get("data", {}).get("result") or []
        if not all(isinstance(each, dict) for each in result):
            raise Refused("a scalar or a text is no list of series")
        if any("values" in each for each in result):
            raise Refused("several values")
        if any("value" not in each for each in result):
            return "crashes"  # by an index beyond the end
        values = [float(each["value"][1]) for each in result]
    except Refused:
        return "aborted"
    if not values or values[-1] != values[-1]:
        return "aborted"
    return "aborted" if values[-1] > MOST else "promoted"


def _data(answer: Answer) -> dict[str, Any]:
    """As the Go client reads it: an error of the server is none of its data, warnings are beside it."""
    if answer.hangs or answer.status >= 300:
        raise Refused
    found = _json(answer.body)
    if found.get("status") != "success":
        raise Refused
    data: dict[str, Any] = found["data"]
    return data


def _json(body: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(body)
    except ValueError as error:
        raise Refused from error
    return found
