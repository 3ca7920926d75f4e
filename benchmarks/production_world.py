"""The world of production_demo.py: requests, a feed of training rows, a tuner, and a Deployment that serves.

All of it is in memory, and a minute passes from one look of the operator to the next, as while a canary serves. What is
decided is decided by the operator's own plan.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

import tuning
from tuning_operator import reasons
from tuning_operator.observe.observation import CanaryTold, Study
from tuning_operator.observe.observation import Observation as Seen
from tuning_operator.observe.production import standing
from tuning_operator.plan.actions import DropCanary, KeepParameters, MoveProduction, Record, StartCanary, StartRound
from tuning_operator.plan.decide import plan
from tuning_operator.plan.draft import Plan
from tuning_operator.plan.promotion.steps import OPERATOR
from tuning_operator.rollout.canary import CanaryView, canary_name
from tuning_operator.rollout.target import TargetView
from tuning_store.production import Evidence
from tuning_store.record import Line
from tuning_store.values import Progress
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.status import Best, TuningStudyStatus
from tuning_study.budget import Counts, RoundLimits
from tuning_study.production.observation import Observation
from tuning_study.promotion.canary.analysis import CanaryState, begin, is_over, judge, observe
from tuning_study.promotion.canary.looks import Counters, Look, Pods, Sides
from tuning_study.requests import RetuneRequest
from tuning_study.results.describe import describe_verified
from tuning_study.results.outcome import Comparison, compare
from tuning_study.results.verified import Measured, verdict
from tuning_study.round import ResolvedRound, spec_digest

TRIALS, TOP, REPEATS = 12, 2, 10
SPEC = TuningStudySpec.model_validate(
    {
        "metrics": [{"name": "accuracy", "direction": "Maximize"}],
        "parameters": [
            {"name": "depth", "type": "Int", "min": 1, "max": 12},
            {"name": "hours", "type": "Int", "min": 1, "max": 12},
        ],
        "objective": {"python": {"function": "churn:objective"}},
        "budget": {"trials": TRIALS},
        "verification": {"top": TOP, "repeats": REPEATS},
        "production": {"metrics": [{"name": "accuracy", "source": {"push": {"window": "1h"}}}]},
        "retune": {"triggers": ["Degradation"], "cooldown": "2h"},
        "promotion": {
            "mode": "Automatic",
            "target": {"deployment": {"name": "churn-api"}},
            "canary": {
                "metrics": [
                    {
                        "name": "wrong",
                        "bad": "sum(wrong_total{ {{variant}} })",
                        "total": "sum(predictions_total{ {{variant}} })",
                        "margin": 0.03,
                    }
                ],
                "for": "2h",
            },
        },
    }
)
START = datetime(2026, 6, 1, tzinfo=UTC)  # a Monday
HOUR = 60  # minutes, each of which is a look
PER_MINUTE = 60  # requests
STABLE_PODS = 3
ROUND_TAKES = 30
FOLDS = 10
_OF_PRODUCTION = (reasons.MODEL_DEGRADED, reasons.MODEL_WELL, reasons.EPISODE_OVER)
Parameters = dict[str, int]


@dataclass(frozen=True)
class Story:
    """What happens to the operator, by minutes since midnight."""

    created: int
    changed: int
    """What makes a label becomes another. From then on the feed of training rows takes some labels for others."""
    mended: int
    """The feed is, and corrects what it has told."""
    by_hand: dict[int, str]
    """When somebody asks for a round, and why."""
    ends: int


class Requests:
    """What comes in, and what would have been right. Two of three features make the label, and one in ten is noise."""

    def __init__(self, story: Story) -> None:
        rng = np.random.default_rng(1)
        self.mended = story.mended
        self.features = rng.uniform(0, 10, (story.ends * PER_MINUTE, 3))
        changed = np.arange(len(self.features)) >= story.changed * PER_MINUTE
        weight = np.where(changed, 0.5, 1.0)
        labels = self.features[:, 0] + weight * self.features[:, 1] <= 4 + 4 * weight
        self.labels = labels ^ (rng.random(len(labels)) < 0.1)
        self._confused = self.labels ^ (changed & (self.features[:, 2] > 7))

    def feed(self, minute: int) -> NDArray[np.bool_]:
        """The labels that models are trained on, as they are known by then."""
        return (self._confused if minute < self.mended else self.labels)[: minute * PER_MINUTE]


@dataclass(frozen=True)
class Ended:
    """What a round has come to."""

    best: Best
    parameters: Parameters
    comparison: Comparison | None
    model: DecisionTreeClassifier


@dataclass
class Tuner:
    """What the workers do: rounds of one study, in one store."""

    requests: Requests
    storage: Any

    def round(self, resolved: ResolvedRound, minute: int, before: Parameters | None) -> Ended:
        """Search by the feed as it is, then measure the best trials beside the parameters of before, run by run."""
        study = optuna.create_study(
            storage=self.storage,
            study_name=resolved.study,
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=resolved.seed, n_startup_trials=TRIALS // 2),
        )
        if before is not None:
            study.enqueue_trial(before)

        def objective(trial: optuna.Trial) -> float:
            parameters = {"depth": trial.suggest_int("depth", 1, 12), "hours": trial.suggest_int("hours", 1, 12)}
            return float(np.mean([self.right(parameters, minute, fold) for fold in range(0, FOLDS, 3)]))

        tuning.optimize(study, objective, trials=TRIALS)
        ranked = sorted(study.trials, key=lambda trial: trial.value or 0, reverse=True)
        candidates = [*dict.fromkeys([trial.number for trial in ranked[:TOP]] + [0] * (before is not None))]
        runs = [self._measured(study.trials[number], minute) for number in candidates]
        found = verdict(SPEC.objectives, SPEC.constraints, runs, overlap=1 / (FOLDS - 1))
        if before is not None:
            found = replace(found, incumbent=candidates.index(0))
        assert found.best is not None
        named = study.trials[candidates[found.best]].params
        best = describe_verified(found, SPEC, named)
        return Ended(best, named, compare(SPEC.objectives, found), self.fitted(named, minute))

    def right(self, parameters: Parameters, minute: int, fold: int) -> float:
        """Share of a fold of the last hour's rows that is predicted from all rows but these."""
        labels = self.requests.feed(minute)
        test = np.arange(max(0, len(labels) - HOUR * PER_MINUTE) + fold, len(labels), FOLDS)
        model = self.fitted(parameters, minute, without=test)
        return float(np.mean(model.predict(self.requests.features[test]) == labels[test]))

    def fitted(self, parameters: Parameters, minute: int, without: Sequence[int] | NDArray[Any] = ()) -> Any:
        labels = self.requests.feed(minute)
        rows = np.arange(max(0, len(labels) - parameters["hours"] * HOUR * PER_MINUTE), len(labels))
        rows = np.setdiff1d(rows, without, assume_unique=True)
        model = DecisionTreeClassifier(max_depth=parameters["depth"], random_state=0)
        return model.fit(self.requests.features[rows], labels[rows])

    def _measured(self, trial: optuna.trial.FrozenTrial, minute: int) -> Measured:
        values = {repeat: (self.right(trial.params, minute, repeat),) for repeat in range(REPEATS)}
        metrics = {"accuracy": float(np.mean(list(values.values())))}
        # All take equally long, so that none is named for being cheaper.
        return Measured(trial.number, values, metrics, seconds=1.0, failed=0, feasible=REPEATS)


@dataclass
class World:
    """A study, and what becomes of the operator's actions."""

    story: Story
    requests: Requests
    tuner: Tuner
    minute: int = 0
    status: TuningStudyStatus = field(default_factory=TuningStudyStatus)
    record: list[Line] = field(default_factory=list)
    """As the store keeps it, and in the same form the Events about the model in production."""
    answers: list[tuple[tuple[int, int], tuple[int, int]]] = field(default_factory=list)
    """By minute, of stable and of the canary: requests, and those that were answered wrong."""
    _stable: str | None = None
    _canary: CanaryView | None = None
    _looks: CanaryState | None = None
    _progress: Progress | None = None
    _ended: Ended | None = None
    _kept: dict[str, Ended] = field(default_factory=dict)
    """By the name of their ConfigMap."""
    _observations: list[Observation] = field(default_factory=list)

    def live(self) -> None:
        rng = np.random.default_rng(2)
        for minute in range(self.story.ends):
            self.minute = minute
            self._observe()
            if self.minute >= self.story.created:
                self._carry_out(plan(self._seen()))
            self._serve(rng)

    @property
    def now(self) -> datetime:
        return START + timedelta(minutes=self.minute)

    def _observe(self) -> None:
        """Each hour, what its answers say of the model in production."""
        if self.minute % HOUR == 0 and self._stable is not None:
            total, wrong = (sum(stable[place] for stable, _ in self.answers[-HOUR:]) for place in (0, 1))
            self._observations.append(Observation(self.now, 1 - wrong / total, total))

    def _serve(self, rng: np.random.Generator) -> None:
        """The requests of the next minute, each answered by a pod at random."""
        rows = np.arange(self.minute * PER_MINUTE, (self.minute + 1) * PER_MINUTE)
        pods = STABLE_PODS + (self._canary is not None)
        on_canary = rng.integers(0, pods, PER_MINUTE) == STABLE_PODS
        stable = self._answered(self._stable, rows[~on_canary])
        self.answers.append((stable, self._answered(self._candidate, rows[on_canary])))

    def _answered(self, name: str | None, rows: NDArray[np.int_]) -> tuple[int, int]:
        if name is None or not len(rows):
            return 0, 0
        predicted = self._kept[name].model.predict(self.requests.features[rows])
        return len(rows), int((predicted != self.requests.labels[rows]).sum())

    @property
    def _candidate(self) -> str | None:
        """Whose parameters the canary's pod has."""
        promotion = self.status.promotion
        return promotion.canary.parameters if promotion is not None and promotion.canary is not None else None

    def _seen(self) -> Seen:
        reason = self.story.by_hand.get(self.minute)
        asked = RetuneRequest(f"at {self.minute}", reason, evidence={"by": "ada"}) if reason else None
        request = asked.to_annotation(self.now.isoformat()) if asked is not None else None
        evidence = Evidence(observations={"accuracy": self._observations})
        seen = Seen(
            self.now,
            Study("shop", "churn", "uid", 1, SPEC, (), self.status, retune_request=request),
            progress=self._progress,
            production=standing(SPEC, self.status, evidence, None, {}, self.now),
            target=TargetView("churn-api", self._stable, rolled_out=True, ready=STABLE_PODS),
            canary=self._canary,
            canary_told=self._told(),
        )
        began = self.status.start_time
        if self._progress is None or self._ended is None or began is None:
            return seen
        if self.now < began + timedelta(minutes=ROUND_TAKES):
            return seen
        return replace(
            seen,
            progress=self._stands(self._progress.study, TRIALS, TRIALS),
            verification=self._stands(f"{self._progress.study}/verification", TOP * REPEATS, TOP * REPEATS),
            best=self._ended.best,
            parameters=self._ended.parameters,
            comparison=self._ended.comparison,
        )

    def _told(self) -> CanaryTold | None:
        """What the counters of both sides show by now."""
        asked = SPEC.promotion.canary if SPEC.promotion is not None else None
        if self._canary is None or asked is None:
            return None
        self._looks = self._looks or begin(asked, self.now)
        stable, canary = np.sum(self.answers, axis=0)
        sides = Sides(Counters(float(stable[1]), float(stable[0])), Counters(float(canary[1]), float(canary[0])))
        self._looks = observe(asked, self._looks, Look(self.now, {"wrong": sides}, ready=Pods(STABLE_PODS, 1)))
        return CanaryTold(judge(asked, self._looks), self._looks.started, is_over(asked, self._looks))

    def _carry_out(self, decided: Plan) -> None:
        self.status = decided.status
        for event in decided.events:
            if event.reason in _OF_PRODUCTION:
                self.record.append(Line(event.reason, event.message, self.now, OPERATOR))
        for action in decided.actions:
            match action:
                case StartRound(resolved=resolved):
                    before = self._kept[self._stable].parameters if self._stable is not None else None
                    self._ended = self.tuner.round(resolved, self.minute, before)
                    self._progress = self._stands(resolved.study, 0, TRIALS)
                case KeepParameters(found=found):
                    assert self._ended is not None
                    self._kept[found.name] = self._ended
                case StartCanary(deployment=target, parameters=name):
                    self._canary = CanaryView(canary_name(target, name), f"uid of {name}", ready=1, complete=True)
                case DropCanary():
                    self._canary = self._looks = None
                case MoveProduction(parameters=name):
                    self._stable = name
                case Record(lines=lines):
                    self.record += lines

    def _stands(self, study: str, complete: int, trials: int) -> Progress:
        limits, begun = RoundLimits(trials, SPEC.budget.failed_trials), self.now.replace(tzinfo=None)
        return Progress(study, None, "demo", spec_digest(SPEC), Counts(complete), limits, None, None, False, begun)
