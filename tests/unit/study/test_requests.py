"""The annotation that asks for a new round, as people and programs write it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_study.requests import RetuneRequest, annotation_digest


@pytest.mark.parametrize(
    "value", ["2026-03-08T12:00:00+00:00", "just do it", "17", "null", '{"reason": "no token"}', "{"]
)
def test_a_value_that_is_no_json_with_a_token_is_a_token_by_hand(value: str) -> None:
    asked = RetuneRequest.from_annotation(value)
    assert (asked.token, asked.trigger) == (value, "Manual")


def test_json_names_who_asks_and_why() -> None:
    asked = RetuneRequest.from_annotation(
        json.dumps({"token": "t", "reason": "accuracy fell", "trigger": "Alert", "evidence": {}})
    )
    assert (asked.token, asked.reason, asked.trigger) == ("t", "accuracy fell", "Alert")


def test_a_request_fits_the_status_however_long_it_is() -> None:
    asked = RetuneRequest.from_annotation(json.dumps({"token": "t" * 9999, "reason": "r" * 9999}))
    assert max(len(asked.token), len(asked.reason)) == 256
    assert len(RetuneRequest.from_annotation("x" * 9999).token) == 256


SHORT = st.text(min_size=1, max_size=60)


@given(token=SHORT, reason=SHORT, trigger=SHORT, evidence=st.dictionaries(st.text(max_size=9), st.text(max_size=9)))
def test_what_is_written_is_read_back(token: str, reason: str, trigger: str, evidence: dict[str, str]) -> None:
    request = RetuneRequest(token, reason, trigger, evidence)
    assert RetuneRequest.from_annotation(request.to_annotation("12:00")) == request


def test_a_request_that_is_made_again_differs_in_its_digest_alone() -> None:
    first, second = (RetuneRequest("t").to_annotation(moment) for moment in ("12:00", "13:00"))
    assert RetuneRequest.from_annotation(first) == RetuneRequest.from_annotation(second)
    assert annotation_digest(first) != annotation_digest(second)
