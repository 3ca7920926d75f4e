"""How one metric of a canary is told to people."""

from tuning_client.canary_evidence import evidence_row
from tuning_study.api.promotion_status import CanaryEvidence


def test_counters_are_shares_of_requests() -> None:
    entry = CanaryEvidence(
        metric="errors", outcome="Harm", samples=1200, stable_samples=3600, e=42.0, threshold=20.0, effect=0.135
    )
    assert list(evidence_row(entry).values()) == ["errors", "Harm", "1,200", "3,600", "+13.50%", "42 of 20"]


def test_a_guard_is_its_value() -> None:
    entry = CanaryEvidence(metric="p99", outcome="Better", effect=0.25)
    assert list(evidence_row(entry).values()) == ["p99", "Better", "", "", "0.25", ""]


def test_nothing_is_told_of_what_was_not_compared_yet() -> None:
    entry = CanaryEvidence(metric="errors", outcome="Unknown", e=1.0, threshold=20.0)
    assert evidence_row(entry)["bad, beside stable"] == ""
