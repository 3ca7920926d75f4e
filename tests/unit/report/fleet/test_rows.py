"""The fleet in rows: who is in it, in which order, and what each row tells."""

import json

from builders import NOW, Object
from fleets import DAY, HOUR, degraded, drift, episode, healthy, make_watched, many, metric, promotion, round_
from tuning_report.fleet.rows import MOST_ROUNDS, in_full, overview
from tuning_report.fleet.watched import watched_study


def test_what_needs_somebody_is_at_the_top_then_what_waits_then_evidence() -> None:
    studies = [
        make_watched("well", production=[metric(NOW, evidence=0.1)]),
        make_watched("nearly", production=[metric(NOW, evidence=0.9)]),
        make_watched("frozen", frozen_until=NOW + HOUR),
        make_watched("held", promotion=promotion(NOW, "Held")),
        make_watched("stuck", retune={"episode": episode(NOW, waitsFor="NotATrigger")}),
    ]
    rows = overview(studies, NOW)["studies"]
    assert [row["name"] for row in rows] == ["stuck", "held", "frozen", "nearly", "well"]


def test_a_study_is_watched_once_its_manifest_asks_for_anything_after_the_first_round() -> None:
    specs: list[Object] = [
        {},
        {"retune": {"cooldown": "6h"}},
        {"retune": {"triggers": ["Alert"]}},
        {"production": {}},
        {"promotion": {}},
    ]
    totals = overview([make_watched(f"s{place}", spec=spec) for place, spec in enumerate(specs)], NOW)["totals"]
    assert (totals["watched"], totals["others"]) == (3, 2)


def test_totals_count_studies_not_things() -> None:
    assert overview(degraded(NOW), NOW)["totals"] == {
        "watched": 12,
        "others": 1,
        "somebody": 7,
        "waiting": 5,
        "degraded": 7,
        "drifted": 2,
        "unobserved": 1,
        "retuning": 1,
        "frozen": 1,
    }
    assert overview(healthy(NOW), NOW)["totals"]["somebody"] == 0


def test_a_metric_that_is_no_longer_observed_has_not_recovered() -> None:
    vanished = metric(NOW, 0.87, since=NOW - DAY) | {"verdict": "Unknown", "stale": True}
    assert overview([make_watched(production=[vanished])], NOW)["totals"]["degraded"] == 1


def test_the_latest_rounds_of_all_are_told_with_their_reasons() -> None:
    asked_for = round_(2, NOW - HOUR, "Alert", reason="ErrorsHigh", outcome="Improved", comparison="0.94 → 0.95")
    studies = [make_watched("a", rounds=[round_(1, NOW - DAY), asked_for]), make_watched("b", rounds=[round_(1, NOW)])]
    told = overview(studies, NOW)["rounds"]
    assert [(one["name"], one["round"], one["trigger"]) for one in told] == [
        ("b", 1, "Created"),
        ("a", 2, "Alert"),
        ("a", 1, "Created"),
    ]
    assert (told[1]["reason"], told[1]["outcome"], told[1]["comparison"]) == ("ErrorsHigh", "Improved", "0.94 → 0.95")


def test_of_many_rounds_the_latest_are_told() -> None:
    assert len(overview(many(200, NOW), NOW)["rounds"]) == MOST_ROUNDS


def test_a_row_has_the_statuses_own_names() -> None:
    study = make_watched(
        state="Complete",
        round=2,
        storage={"study": "team/digits/uid/r2"},
        production=[metric(NOW, 0.87, 1.3, since=NOW - HOUR)],
        drift=drift(NOW, 0.5),
        promotion=promotion(NOW),
        rounds=[round_(1, NOW - DAY), round_(2, NOW - HOUR, "Degradation", reason="it fell", outcome="NoBetter")],
    )
    (row,) = overview([study], NOW)["studies"]
    assert (row["study"], row["state"], row["round"]) == ("team/digits/uid/r2", "Complete", 2)
    assert row["metrics"][0].items() >= {"name": "accuracy", "value": 0.87, "baseline": 0.95, "evidence": 1.3}.items()
    assert row["drift"] is not None and row["drift"]["features"][0] == {"name": "age", "psi": 0.5, "threshold": 0.2}
    assert row["last"] is not None and (row["last"]["reason"], row["last"]["outcome"]) == ("it fell", "NoBetter")
    assert row["promotion"] == {"state": "Stable", "stable": "digits-params-r2-1a2b3c4d"}


def test_a_study_in_full_has_the_newest_round_first_and_every_gate() -> None:
    basket = next(study for study in degraded(NOW) if study.name == "basket")
    told = in_full(basket, NOW)
    assert [entry["round"] for entry in told["rounds"]] == [2, 1]
    assert len(told["promotion"]["gates"]) == 7
    assert (told["mode"], told["triggers"]) == ("Manual", ["Degradation"])
    assert "baseline 0.95" in told["metrics"][0]["message"]


def test_two_hundred_studies_are_a_small_document() -> None:
    assert len(json.dumps(overview(many(200, NOW), NOW))) < 250_000


def test_a_study_that_another_version_wrote_is_told_as_far_as_it_can_be_read() -> None:
    body = {
        "metadata": {"namespace": "team", "name": "new", "uid": "u"},
        "spec": {"production": {"moons": 2}, "promotion": {"mode": "Manual"}, "retune": {"triggers": "all"}},
        "status": {"state": "Complete", "drift": {"verdict": "Odd"}, "production": [metric(NOW)]},
    }
    (row,) = overview([watched_study(body, None)], NOW)["studies"]
    assert (row["name"], row["drift"], len(row["metrics"])) == ("new", None, 1)
