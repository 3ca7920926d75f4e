"""A Prometheus's answer to a query as one number, or as the reason why there is none. Pure; `client` asks.

No answer is ever guessed at: what is not exactly one finite number is missing, and neither good nor bad.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from math import isinf, isnan
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import from_json

from tuning_study.text import truncate

Outcome = Literal[
    "Empty",
    "NaN",
    "Infinite",
    "ManySeries",
    "Matrix",
    "Text",
    "Histogram",
    "Partial",
    "Error",
    "Unauthorized",
    "NotFound",
    "Unavailable",
    "Timeout",
    "Redirect",
    "NotJson",
    "Malformed",
    "TooLarge",
    "Refused",
    "Unchanged",
]
"""Why a query gave no number, in a word; the label `outcome` of tuning_observations_total."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

_MAX_WARNINGS = 8
_MAX_TEXT = 256  # characters that are kept of what a server says
_OF_THE_QUERY = ("PromQL warning", "PromQL info")
"""How Prometheus begins a remark on the query itself. Every other warning is of a store whose part is not there."""


@dataclass(frozen=True)
class Value:
    """One finite number."""

    value: float
    time: datetime | None = None
    """That the number is of, aware: for an instant query the moment that was asked for."""
    warnings: tuple[str, ...] = ()
    """What the server remarks on the query. The number counts all the same."""


@dataclass(frozen=True)
class Missing:
    """No number."""

    outcome: Outcome
    reason: str
    """A sentence for the author of the query: what came, and what to write instead."""


def read_answer(status: int, content_type: str, body: bytes) -> Value | Missing:
    """What the answer of `/api/v1/query` says: its HTTP status, its Content-Type and its whole body. Never raises."""
    if 300 <= status < 400:
        return Missing(
            "Redirect",
            f"the server answers with a redirect ({status}), which is not followed: write the URL that it leads to",
        )
    if status in (401, 403):
        return Missing(
            "Unauthorized",
            f"the server refuses the credentials ({status}): check the Secret's `token`, or `username` and `password`",
        )
    try:
        answer = _Answer.model_validate(from_json(body))
    except ValidationError as error:
        return _http_fault(status) or Missing(
            "Malformed", f"the server answers with JSON that is no answer of Prometheus's: {_first(error)}"
        )
    except ValueError:
        return _http_fault(status) or Missing(
            "NotJson",
            f"the server answers with {_kind(content_type)}, not with JSON: write the URL of a Prometheus, without "
            "`/api/v1` and what follows it",
        )
    if answer.status == "error":
        return _error(answer, status)
    return _http_fault(status) or _read_data(answer)


class _Series(BaseModel):
    value: tuple[float, float] | None = None
    histogram: Any = None


class _Vector(BaseModel):
    type: Literal["vector"] = Field(alias="resultType")
    result: list[_Series]


class _Scalar(BaseModel):
    type: Literal["scalar"] = Field(alias="resultType")
    result: tuple[float, float]


class _Unwanted(BaseModel):
    type: Literal["matrix", "string"] = Field(alias="resultType")


class _Answer(BaseModel):
    """The body, as https://prometheus.io/docs/prometheus/latest/querying/api/ describes it."""

    status: Literal["success", "error"]
    data: Annotated[_Vector | _Scalar | _Unwanted, Field(discriminator="type")] | None = None
    error: str = ""
    error_type: str = Field("", alias="errorType")
    warnings: list[str] | None = None
    infos: list[str] | None = None
    is_partial: bool = Field(False, alias="isPartial")  # how VictoriaMetrics says that a part is not there


def _http_fault(status: int) -> Missing | None:
    if status == 404:
        return Missing(
            "NotFound",
            "the server has no `/api/v1/query` there (404): write the URL of a Prometheus, up to where `/api` begins",
        )
    if status == 429 or status >= 500:
        return Missing("Unavailable", f"the server cannot answer now (HTTP {status}); it is asked again")
    if status != 200:
        return Missing("Error", f"the server refuses the request (HTTP {status}): try the query in its own page")
    return None


def _error(answer: _Answer, status: int) -> Missing:
    told = truncate(answer.error, _MAX_TEXT) or "no reason given"
    if answer.error_type == "timeout":
        return Missing("Timeout", f"the query takes too long: {told}; record it with a recording rule and ask for that")
    if answer.error_type in ("canceled", "internal", "unavailable") or status == 429 or status >= 500:
        return Missing("Unavailable", f"the server cannot answer now: {told}; it is asked again")
    return Missing("Error", f"the server refuses the query: {told}")


def _read_data(answer: _Answer) -> Value | Missing:
    warnings = answer.warnings or []
    if lost := [warning for warning in warnings if not warning.startswith(_OF_THE_QUERY)]:
        return Missing("Partial", f"the server answers without a part of its data: {truncate(lost[0], _MAX_TEXT)}")
    if answer.is_partial:
        return Missing("Partial", "the server answers without a part of its data; it is asked again")
    remarks = tuple(truncate(text, _MAX_TEXT) for text in [*warnings, *(answer.infos or [])][:_MAX_WARNINGS])
    match answer.data:
        case None:
            return Missing("Malformed", "the server answers with `status: success` and no data")
        case _Scalar(result=sample):
            return _number(sample, remarks)
        case _Vector(result=[]):
            return Missing(
                "Empty",
                "the query answers with no series: look at the metric's name and labels, and whether anything "
                "reported it in the last 5 minutes; for one that comes seldom write last_over_time(…[1h])",
            )
        case _Vector(result=[series]):
            return _of_series(series, remarks)
        case _Vector(result=several):
            return Missing(
                "ManySeries", f"the query answers with {len(several)} series: aggregate them, as in sum(…) or avg(…)"
            )
        case _Unwanted(type="string"):
            return Missing("Text", "the query answers with a text: write one that answers with a number")
        case _:
            return Missing(
                "Matrix",
                "the query answers with samples over a time: write a function around it, as in avg_over_time(…[1h])",
            )


def _of_series(series: _Series, remarks: tuple[str, ...]) -> Value | Missing:
    if series.value is not None:
        return _number(series.value, remarks)
    if series.histogram is not None:
        return Missing(
            "Histogram",
            "the query answers with a native histogram: write what of it, as in histogram_quantile(0.95, …) or "
            "histogram_avg(…)",
        )
    return Missing("Malformed", "the server answers with a series that has no value")


def _number(sample: tuple[float, float], remarks: tuple[str, ...]) -> Value | Missing:
    time, value = sample
    if isnan(value):
        return Missing(
            "NaN", "the query answers with NaN, as a ratio does while nothing is counted (0/0): there is no number yet"
        )
    if isinf(value):
        return Missing(
            "Infinite",
            "the query answers with infinity, as a ratio does whose denominator is 0: write one that has none",
        )
    try:
        return Value(value, datetime.fromtimestamp(time, UTC), remarks)
    except (ValueError, OverflowError, OSError):
        return Missing("Malformed", f"the server answers with a time that is none: {time}")


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, problem["loc"]))
    return truncate(f"{place}: {problem['msg']}" if place else problem["msg"], _MAX_TEXT)


def _kind(content_type: str) -> str:
    return truncate(content_type.partition(";")[0].strip(), 64) or "something without a type"
