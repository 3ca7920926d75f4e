"""A study whose parameters go to production, look by look, through the operator's own decisions; no I/O."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from builders import NOW, make_observation, make_progress, make_spec, make_status
from tuning_operator.observe.observation import CanaryTold, Observation
from tuning_operator.observe.production import Production
from tuning_operator.plan.actions import Action, DropCanary, MoveProduction, Record, StartCanary
from tuning_operator.plan.decide import plan
from tuning_operator.plan.draft import Plan
from tuning_operator.rollout.canary import CanaryView, canary_name
from tuning_operator.rollout.parameters_job import JobView
from tuning_operator.rollout.target import TargetView
from tuning_study.api.promotion_status import PromotionStatus
from tuning_study.api.status import Best, ProductionStatus
from tuning_study.budget import RoundLimits, StopReason
from tuning_study.promotion.canary.analysis import CanaryVerdict
from tuning_study.promotion.requests import to_annotation
from tuning_study.results.outcome import Comparison


class Life:
    """A study and its looks. Rounds are verified when a test says so; a Deployment, if there is one, rolls out at once
    unless it is `slow`, `stuck` or `waiting` for something."""

    def __init__(self, mode: str = "Automatic", **promotion: Any) -> None:
        self.spec = make_spec(
            verification={"top": 1},
            promotion={"mode": mode, **promotion},
            production={"metrics": [{"name": "accuracy", "source": {"push": {}}}]},
        )
        self.status = make_status(state="Running", round=0).model_copy(update={"rounds": []})
        self.now, self.stuck, self.slow, self.waiting = NOW, False, False, ""
        self.stale_pods = False
        self.promote: str | None = None
        self.rollback: str | None = None
        self.retune: str | None = None
        self.parameters: dict[str, Any] = {}
        self.comparison: Comparison | None = None
        self.degraded: datetime | None = None
        self.frozen: datetime | None = None
        self.problem: tuple[str, str] | None = None
        self.check: JobView | None = None
        self.rolled_to: str | None = None
        self.canary: CanaryView | None = None
        self.verdict, self.over = unknown(), False
        self.template, self.pods_fail = "template-1", ""
        self.done: list[Action] = []
        self.events: list[str] = []

    def verifies(self, comparison: Comparison | None = None, *, trigger: str = "Manual", **parameters: Any) -> None:
        """A round ends, whose verification names these parameters; the parameters of before were measured too."""
        number = len(self.status.rounds) + 1
        self.now += timedelta(hours=2)
        [entry] = make_status(round=number).rounds
        entry = entry.model_copy(
            update={
                "start_time": self.now - timedelta(hours=1),
                "completion_time": self.now,
                "trigger": trigger if number > 1 else "Created",
                "best": Best(trial=number, metrics=[], parameters=[], verified=True),
            }
        )
        self.parameters, self.comparison = {"x": float(number), **parameters}, comparison
        rounds = [*self.status.rounds, entry]
        self.status = self.status.model_copy(
            update={"round": number, "state": "Complete", "rounds": rounds, "best": entry.best}
        )

    def fingerprint(self, data: str | None) -> None:
        """Of the data set of the newest round."""
        *earlier, last = self.status.rounds
        self.status = self.status.model_copy(update={"rounds": [*earlier, last.model_copy(update={"data": data})]})

    def asks(self, what: str, **given: Any) -> None:
        self.now += timedelta(seconds=1)
        setattr(self, what, to_annotation(self.now.isoformat(), **({"by": "ada"} | given)))

    def look(self, *, crash: bool = False) -> Plan:
        """One look; with `crash` the operator ends before it writes what it has done into the status."""
        self.now += timedelta(seconds=30)
        decided = plan(self._observed())
        for action in decided.actions:
            if isinstance(action, MoveProduction) and action.target is not None:
                self.rolled_to = action.parameters
            elif isinstance(action, StartCanary):
                name = canary_name(action.deployment, action.parameters)
                self.canary = CanaryView(name, f"uid of {len(self.done)}", 1, True, self.pods_fail, self.template)
            elif isinstance(action, DropCanary):
                self.canary = None
        self.done += decided.actions
        if not crash:
            self.status = decided.status
            self.events += [event.reason for event in decided.events]
        return decided

    def looks(self, times: int = 6) -> None:
        for _ in range(times):
            self.look()

    @property
    def promotion(self) -> PromotionStatus:
        assert self.status.promotion is not None
        return self.status.promotion

    @property
    def state(self) -> str:
        return self.promotion.state

    @property
    def moves(self) -> list[str]:
        """The parameters that production got, one after another."""
        moved = [action.parameters for action in self.done if isinstance(action, MoveProduction)]
        return [name for place, name in enumerate(moved) if place == 0 or moved[place - 1] != name]

    @property
    def record(self) -> dict[str, str]:
        """Each line about promotions once, by its key, as the store keeps it."""
        kept: dict[str, str] = {}
        for action in self.done:
            for line in action.lines if isinstance(action, Record) else ():
                if line.key.startswith("promotion/"):
                    kept.setdefault(line.key, line.kind)
        return kept

    def _observed(self) -> Observation:
        limits = RoundLimits(10, 100, stop=StopReason.BUDGET_USED)
        production = [
            ProductionStatus(name="accuracy", verdict="Degraded", degraded_since=self.degraded, message="accuracy fell")
        ]
        observed = make_observation(
            self.spec,
            status=self.status,
            progress=make_progress(self.spec, complete=10, limits=limits),
            verification=make_progress(self.spec, complete=10, limits=limits),
            best=self.status.best,
            parameters=self.parameters or None,
            comparison=self.comparison,
            production=Production(production if self.degraded else []),
            target=self._target(),
            staging=self.check,
            canary=self._canary(),
            canary_told=self._told(),
            now=self.now,
        )
        study = replace(
            observed.study,
            frozen_until=self.frozen,
            promote_request=self.promote,
            rollback_request=self.rollback,
            retune_request=self.retune,
        )
        return replace(observed, study=study)

    def _target(self) -> TargetView | None:
        promotion = self.status.promotion
        if self.spec.promotion is None or self.spec.promotion.target is None or promotion is None:
            return None
        if promotion.state not in ("Candidate", "Held", "Canary", "Promoting", "RollingBack"):
            return None
        failed, done = "timed out" if self.stuck else "", not (self.stuck or self.slow or self.waiting)
        return TargetView(
            "digits-api",
            self.rolled_to,
            done,
            failed,
            self.waiting,
            self.stale_pods,
            self.problem,
            template=self.template,
        )

    def _canary(self) -> CanaryView | None:
        known = self.status.promotion.canary if self.status.promotion is not None else None
        return self.canary if known is not None and known.deployment is not None else None

    def _told(self) -> CanaryTold | None:
        if self._canary() is None or self.pods_fail:
            return None
        return CanaryTold(self.verdict, self.now, self.over)


def unknown() -> CanaryVerdict:
    return CanaryVerdict("Unknown", "NotShown", "errors: neither harm is shown, nor that there is none", ())


def harm() -> CanaryVerdict:
    return CanaryVerdict("Harm", "Worse", "errors: the canary is worse than stable", ())


def better() -> CanaryVerdict:
    return CanaryVerdict("Better", "NotWorse", "errors: the canary is not worse by the margin", ())
