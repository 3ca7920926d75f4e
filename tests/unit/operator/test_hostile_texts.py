"""Texts from outside that break quoting, JSON or metrics are told as they are, or as near as UTF-8 comes to them."""

import json

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from builders import NOW, make_progress, make_spec
from tuning_exporter.families.study import Snapshot, tell
from tuning_operator.plan.requests import answered
from tuning_store.tenants import tenant_of
from tuning_study.api.status import RetuneStatus, Suppression, TuningStudyStatus
from tuning_study.budget import Counts
from tuning_study.requests import RetuneRequest
from tuning_study.results.candidates import Candidate
from tuning_study.results.describe import describe_best

TEXTS = {
    "quotes": "\"'`$$\\",
    "lines": "a\nb\r\nc\td",
    "a metric of its own": 'x"} 1\ntuning_store_up{a="',
    "NUL": "a\x00b",
    "escapes": "\x1b[2J\x9b31m",
    "beyond the basic plane": "😀\u202e",
    "half a surrogate pair": "a\ud800b",
    "very long": "x" * 100_000,
}
hostile = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())


@hostile
def test_a_request_is_told_in_the_status(text: str) -> None:
    value = json.dumps({"token": text, "reason": text, "trigger": text})
    request = RetuneRequest.from_annotation(value)
    refusals: tuple[Suppression | None, ...] = (None, "NotATrigger")
    for refusal in refusals:
        status = TuningStudyStatus(retune=answered(RetuneStatus(), request, refusal, NOW))
        assert TuningStudyStatus.model_validate_json(status.model_dump_json()) == status


@hostile
def test_a_best_trial_is_told_in_the_status(text: str) -> None:
    told = describe_best(Candidate(0, (0.5,)), make_spec(), {"kind": text}, {})
    assert TuningStudyStatus.model_validate_json(TuningStudyStatus(best=told).model_dump_json()).best == told
    assert len(told.parameters[0].value) <= 128


@pytest.mark.parametrize("text", [text for text in TEXTS.values() if "\ud800" not in text])
def test_a_label_is_read_back_as_it_was_told(text: str) -> None:
    """Names of workers and metrics; those come from PostgreSQL and the API server, which keep no half pairs."""
    body = {
        "metadata": {"namespace": "team", "name": "digits", "uid": "uid-1"},
        "status": {"storage": {"study": "s"}, "best": {"metrics": [{"name": text, "value": 1.0}]}},
    }
    progress = make_progress(make_spec(), counts_by_worker={text: Counts(complete=1)})
    snapshot = Snapshot([body], "cluster", {(tenant_of("team", "cluster").schema, "s"): progress})
    registry = CollectorRegistry()
    registry.register(type("Told", (), {"collect": lambda _: tell(snapshot).families})())

    samples = [
        sample
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    ]

    assert {sample.labels["metric"] for sample in samples if "metric" in sample.labels} == {text}
    assert {sample.labels["worker"] for sample in samples if "worker" in sample.labels} == {text}
    assert [sample.value for sample in samples if sample.name == "tuning_store_up"] == [1.0]
