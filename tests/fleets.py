"""Fleets that the page of studies in production is looked at with: resources as the API server shows them, and what the
store keeps of them, made without a cluster."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from builders import Object
from tuning_dashboard.fleet import FleetUnavailable
from tuning_report.fleet.watched import WatchedStudy, watched_study
from tuning_store.features import KnownFeatures, Sent
from tuning_store.production import Evidence
from tuning_study.production.features import Counts, Reference
from tuning_study.production.observation import Observation

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WINDOWS = 14 * 24  # of an hour each
BASELINE, LEVEL = 0.95, 0.9025
MARKUP = "<img src=x onerror=alert(1)>"


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def make_body(name: str = "digits", *, namespace: str = "team", spec: Object | None = None, **status: Any) -> Object:
    """A TuningStudy that is watched, unless `spec` says otherwise; `status` is as in the resource."""
    return {
        "metadata": {"namespace": namespace, "name": name, "uid": f"uid of {namespace}/{name}"},
        "spec": {"production": production(), "retune": {"triggers": ["Degradation"]}} if spec is None else spec,
        "status": {"state": "Complete"} | status,
    }


def make_watched(
    name: str = "digits", *, frozen_until: datetime | None = None, spec: Object | None = None, **status: Any
) -> WatchedStudy:
    return watched_study(make_body(name, spec=spec, **status), frozen_until)


def production(*, drift: bool = False, source: Object | None = None) -> Object:
    metric = {"name": "accuracy", "direction": "Maximize", "source": source or {"push": {}}}
    return {"metrics": [metric], **({"drift": {"psi": 0.2}} if drift else {})}


def metric(now: datetime, value: float = 0.951, evidence: float = 0.0, *, since: datetime | None = None) -> Object:
    """Of `status.production`; degraded since then."""
    told = f"evidence {evidence:.2f} of 1: mean {value:g} of the last windows, baseline {BASELINE} (Verified)"
    return {
        "name": "accuracy",
        "verdict": "Degraded" if since else "Healthy",
        "value": value,
        "time": iso(now - 0.4 * HOUR),
        "baseline": BASELINE,
        "level": LEVEL,
        "evidence": evidence,
        "message": told,
        **({"degradedSince": iso(since), "confirmed": True} if since else {}),
    }


def round_(number: int, began: datetime, trigger: str = "Created", **more: Any) -> Object:
    """Of `status.rounds`; ended unless it says otherwise."""
    return {
        "round": number,
        "startTime": iso(began),
        "completionTime": iso(began + 2 * HOUR),
        "trigger": trigger,
        "study": f"team/digits/uid/r{number}",
        "best": {"trial": 7, "metrics": [{"name": "accuracy", "value": 0.95}], "parameters": [], "verified": True},
    } | more


def episode(since: datetime, trigger: str = "Degradation", **more: Any) -> Object:
    reason = more.pop("reason", "accuracy 0.874 over 4,000 samples, degraded below 0.9025")
    return {"trigger": trigger, "reason": reason, "since": iso(since), "lastSeen": iso(since), "rounds": 0} | more


def gates(**verdicts: tuple[str, str]) -> list[Object]:
    """All of a candidate, passed but for those named: verdict and message."""
    names = ("Verified", "Constraints", "Better", "Drift", "NotRolledBack", "NotFrozen", "Approved")
    return [
        {"name": name, "verdict": verdicts.get(name, ("Passed", ""))[0], "message": verdicts.get(name, ("", ""))[1]}
        for name in names
    ]


def drift(now: datetime, psi: float = 0.04) -> Object:
    verdict = "Drifted" if psi >= 0.2 else "Steady"
    far = f"age: PSI {psi} of 0.2 (chance explains 0.031), p 0.0004, 4,100 samples beside 5,000 of the reference"
    message = (
        f"1 of 3 features drifted: {far}"
        if verdict == "Drifted"
        else f"none of 3 features drifted; the farthest is {far}"
    )
    features = [("age", psi), ("income", psi / 4), ("region", psi / 5)]
    told = [{"name": name, "psi": round(index, 4), "threshold": 0.2} for name, index in features]
    return {"verdict": verdict, "time": iso(now - HOUR), "features": told, "message": message}


def promotion(now: datetime, state: str = "Stable", **more: Any) -> Object:
    return {
        "state": state,
        "message": "digits-params-r2-1a2b3c4d is in production",
        "since": iso(now - 3 * DAY),
        "stable": "digits-params-r2-1a2b3c4d",
        "stableSince": iso(now - 3 * DAY),
    } | more


def healthy(now: datetime) -> list[WatchedStudy]:
    """Nothing waits."""
    return [_well(place, name, now) for place, name in enumerate(("churn", "digits", "fraud", "pricing", "ranking"))]


def _well(place: int, name: str, now: datetime) -> WatchedStudy:
    serves, watches_features = f"{name}-params-r2-1a2b3c4d", place % 3 == 0
    scheduled = round_(
        2,
        now - (3 + place) * DAY,
        "Schedule",
        reason="0 3 * * 0 of Sunday",
        outcome="Improved" if place % 2 else "NoBetter",
        comparison="accuracy 0.948 → 0.951, better by 0.003 (0.001 to 0.005, 95 %)",
    )
    spec = {
        "production": production(drift=watches_features),
        "retune": {"triggers": ["Degradation"]},
        "promotion": {"mode": "Automatic"},
    }
    body = make_body(
        name,
        namespace="shop" if place % 2 else "risk",
        spec=spec,
        state="Complete",
        round=2,
        production=[metric(now, 0.95 + place / 1000, 0.05 * place)],
        promotion=promotion(now, message=f"{serves} is in production", stable=serves),
        rounds=[round_(1, now - (30 + place) * DAY), scheduled],
        storage={"study": f"shop/{name}/uid/r2"},
        **({"drift": drift(now)} if watches_features else {}),
    )
    return watched_study(body, None)


def degraded(now: datetime) -> list[WatchedStudy]:
    """One of each thing that waits."""
    warns: Object = {"production": production(drift=True)}
    asks: Object = {**warns, "retune": {"triggers": ["Degradation"], "cooldown": "6h"}}
    promotes: Object = {**asks, "promotion": {"mode": "Manual"}}
    first = round_(1, now - 20 * DAY)
    no_better = "accuracy 0.874 → 0.875, better by 0.001 (-0.004 to 0.006, 95 %)"
    lately = round_(
        2, now - 2 * HOUR, "Degradation", reason="accuracy is 0.87", outcome="NoBetter", comparison=no_better
    )
    thrice = [
        round_(number, now - hours * HOUR, "Degradation", reason="accuracy is 0.87", outcome="NoBetter")
        for number, hours in ((2, 80), (3, 60), (4, 20))
    ]
    runs = round_(2, now - 0.5 * HOUR, "Alert", reason="ErrorsHigh: 4 % of requests", completionTime=None, best=None)
    well, ill = [metric(now)], [metric(now, 0.874, 1.3, since=now - 5 * HOUR)]
    gone = {**metric(now), "stale": True, "time": iso(now - 9 * HOUR), "message": "no observation since 03:00Z"}

    def study(name: str, spec: Object, frozen_until: datetime | None = None, **status: Any) -> WatchedStudy:
        rounds = status.pop("rounds", [first])
        storage = {"study": f"team/{name}/uid/r{len(rounds)}"}
        told = {"state": "Complete", "production": ill, "rounds": rounds, "round": len(rounds), "storage": storage}
        return watched_study(make_body(name, spec=spec, **(told | status)), frozen_until)

    def on_its_way(state: str, message: str, **more: Any) -> Object:
        return {
            "production": well,
            "rounds": [first, lately],
            "promotion": promotion(now, state, message=message, **more),
        }

    unsure = f"{no_better} over 10 runs of both; better by chance: p = 0.24, asked: at most 0.05"
    return [
        study(
            "basket",
            promotes,
            drift=drift(now),
            **on_its_way(
                "Gated",
                "basket-params-r3-5e6f7a8b: Approved: waits for `tuning promote`",
                candidate="basket-params-r3-5e6f7a8b",
                gates=gates(Approved=("Unknown", "waits for `tuning promote`")),
            ),
        ),
        study(
            "checkout",
            promotes,
            state="Running",
            rounds=[first, runs],
            retune={"episode": episode(now - 5 * HOUR, "Alert", reason="ErrorsHigh: 4 % of requests", rounds=1)},
        ),
        study(
            "churn",
            asks,
            rounds=[first, lately],
            retune={
                "lastTime": iso(now - 2 * HOUR),
                "suppressed": 3,
                "episode": episode(now - 5 * HOUR, rounds=1, waitsFor="Cooldown"),
            },
        ),
        study(
            "digits",
            promotes,
            drift=drift(now, 0.356),
            rounds=[first, *thrice],
            retune={"episode": episode(now - 4 * DAY, rounds=3)},
        ),
        study(
            "fraud", promotes, **on_its_way("Held", "TargetConflict: argocd-controller owns an annotation of fraud-api")
        ),
        study("pricing", asks, now + 20 * HOUR, retune={"episode": episode(now - HOUR, waitsFor="Frozen")}),
        study("ranking", warns, retune={"episode": episode(now - 3 * DAY, waitsFor="NotATrigger")}),
        study(
            "reviews",
            promotes,
            **on_its_way(
                "Gated", f"reviews-params-r3-0badcafe: Better: {unsure}", gates=gates(Better=("Refused", unsure))
            ),
        ),
        study("search", warns, production=[gone], drift=drift(now, 0.34)),
        study("tags", asks, retune={"episode": episode(now - HOUR, waitsFor="RoundsLimit")}),
        study(
            "titles",
            promotes,
            **on_its_way("RolledBack", "titles-params-r1-11111111 is in production again: degraded within 1h"),
        ),
        study(
            "vision",
            {**asks, "suspend": True},
            state="Suspended",
            retune={"episode": episode(now - 4 * HOUR, waitsFor="Suspended")},
        ),
        study("plain", {}, production=[], rounds=[]),
    ]


def many(count: int, now: datetime) -> list[WatchedStudy]:
    """As the degraded ones, over and over, under names of their own; nine of ten are well."""
    well, ill = healthy(now), [study for study in degraded(now) if study.is_watched]
    found = []
    for number in range(count):
        like = ill[number // 10 % len(ill)] if number % 10 == 0 else well[number % len(well)]
        found.append(WatchedStudy(**vars(like) | {"name": f"{like.name}-{number:03}", "uid": f"uid {number}"}))
    return found


@dataclass
class FakeFleet:
    """`unavailable` is why the cluster cannot be read."""

    shown: Sequence[WatchedStudy] = ()
    kept: Mapping[str, tuple[Evidence, KnownFeatures]] = field(default_factory=dict)
    unavailable: str = ""

    async def studies(self) -> Sequence[WatchedStudy]:
        if self.unavailable:
            raise FleetUnavailable(self.unavailable)
        return self.shown

    def told(self, study: WatchedStudy) -> tuple[Evidence, KnownFeatures]:
        return self.kept.get(study.name, (Evidence(), KnownFeatures()))


def observed(now: datetime, *, falls: bool = True, windows: int = WINDOWS) -> Evidence:
    """Accuracy of each hour; it falls in the last third."""
    draw = random.Random(3)
    fall = 0.075 if falls else 0.0
    told = [
        Observation(
            now - (windows - hour) * HOUR,
            BASELINE + draw.gauss(0, 0.006) - fall * min(1.0, max(0.0, 3 * hour / windows - 2)),
            draw.randrange(80, 200),
        )
        for hour in range(windows)
    ]
    return Evidence(observations={"accuracy": told})


def sent(now: datetime, *, drifts: bool = True, windows: int = 72) -> KnownFeatures:
    """Three features, of which the first shifts towards its last bins."""
    even = Reference(Counts((500,) * 10), edges=tuple(map(float, range(9))))
    draw, batches = random.Random(4), {}
    for place, name in enumerate(("age", "income", "region")):
        counts = []
        for hour in range(windows):
            lean = 1.6 * (place == 0) * drifts * max(0.0, hour / windows - 0.4)
            shares = [math.exp(lean * (step - 4.5) / 4.5) for step in range(10)]
            scale = 600 / sum(shares)
            each = Counts(tuple(max(1, round(scale * share + draw.gauss(0, 4))) for share in shares))
            counts.append(Sent(now - (windows - hour) * HOUR, each))
        batches[name] = counts
    return KnownFeatures(dict.fromkeys(batches, even), batches)


def soon() -> datetime:
    """The page tells times from the reader's clock."""
    return datetime.now(UTC).replace(microsecond=0)
