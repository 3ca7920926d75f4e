"""What may be written of a canary."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from tuning_study.api.canary import Canary

from .canaries import counted, guard, make_canary


def test_two_queries_are_enough() -> None:
    canary = make_canary(counted())
    assert canary.alpha == 0.05 and canary.for_ == timedelta(minutes=10) and canary.undecided == "RollBack"
    assert canary.metrics[0].margin == 0.01 and canary.metrics[0].critical


def test_it_is_written_as_it_was_read() -> None:
    written = {"metrics": [counted()], "for": "30m", "minSamples": 500, "dryRun": True}
    assert Canary.model_validate(written).model_dump(by_alias=True, exclude_unset=True, exclude_none=True) == written


def test_programs_may_count_instead() -> None:
    [errors] = make_canary({"name": "errors", "push": {}}).metrics
    assert errors.compares and errors.bad is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"metrics": []}, "at least 1 item"),
        ({"metrics": [{"name": "errors"}]}, "write `bad: …, total: …`, `push: {}` or `query: …"),
        ({"metrics": [counted(query="latency", max=1)]}, "one of two counters, pushed counts and a plain guard"),
        ({"metrics": [counted(push={})]}, "one of two counters, pushed counts and a plain guard"),
        ({"metrics": [{"name": "errors", "bad": "bad{ {{variant}} }"}]}, "one of two counters, pushed counts"),
        ({"metrics": [counted(), {"name": "latency", "query": "latency"}]}, "one of two counters, pushed counts"),
        ({"metrics": [counted(total="total")]}, "write it among the labels, as in requests_total{ {{variant}} }"),
        ({"metrics": [counted(), guard(query="latency")]}, "without {{variant}} a query answers alike"),
        ({"metrics": [counted(), counted(margin=0.02)]}, "two entries have one name: rename one of them (errors)"),
        ({"metrics": [guard()]}, "add a metric with `bad` and `total`, or with `push: {}`"),
        ({"metrics": [counted(margin=0)]}, "greater than or equal to 0.0001"),
        ({"metrics": [counted()], "warmup": "10m"}, "write a shorter one than `for`"),
        ({"metrics": [counted()], "for": "0s"}, "0s leaves no time at all"),
        ({"metrics": [counted()], "undecided": "Promote"}, "RollBack"),
    ],
)
def test_what_is_wrong_is_refused_with_what_to_write(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Canary.model_validate(fields)
    assert words in str(refused.value)
