"""How many rounds the whole loop starts: studies whose models are well for a year, and ones that fell and stay so.

Each hour's observation goes through the operator's own decisions (tests/unit/operator/watched_study.py). Beside it is a
naive loop: three bad values of five start a round, at most one within the cooldown. Tables are in Markdown, as
docs/detectors.md has them.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
from detectors import ours
from drift import delay, table
from machine import describe, run

from unit.operator.watched_study import BASELINE, YEAR, Shares, WatchedStudy, naive_starts, never_better

LABELS = (50, 200, 1000)
FALLEN = 0.855
WEEK = 168
RULES: dict[str, dict[str, Any]] = {
    **{f"`falseAlarmsPerWeek: {rate}`": {"falseAlarmsPerWeek": float(rate)} for rate in ("1", "0.1", "0.01", "0.001")},
    "`bad: 3, of: 5`": {"bad": 3, "of": 5},
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--studies", type=int, default=300, help="that are well for a year, in each cell")
    options.add_argument("--plain", type=int, default=10, help="the same for the plain form, which alarms often")
    options.add_argument("--falls", type=int, default=3, help="models that fell, in each cell")
    options.add_argument("--delays", type=int, default=100, help="falls whose delay is measured")
    given = options.parse_args()
    print(describe())
    parts: Sequence[Callable[[], None]] = (
        lambda: sample_is_the_same(4),
        lambda: well(given.studies, given.plain, given.delays),
        lambda: not_as_assumed(given.studies),
        lambda: fallen(given.falls),
    )
    run(parts)


def sample_is_the_same(studies: int) -> None:
    """With and without the hours that cannot raise an alarm."""
    for rule in RULES.values():
        for values in shares(50, BASELINE - 0.005, studies, 8 * WEEK):
            assert WatchedStudy(values, 50, rule).starts() == WatchedStudy(values, 50, rule).starts(every_hour=True)


def well(studies: int, plain: int, delays: int) -> None:
    def rows() -> Iterator[list[object]]:
        for name, rule in RULES.items():
            number = plain if "bad" in rule else studies
            found = [rounds_a_year(labels, number, rule) for labels in LABELS]
            accepted = "–" if "bad" in rule else f"{100 * 52 * rule['falseAlarmsPerWeek']:g}"
            yield [name, accepted, *found, *hours(rule)]
        naive = [per_hundred([len(naive_starts(year)) for year in years(labels, studies)]) for labels in LABELS]
        yield ["the naive loop", "–", *naive, *hours(RULES["`bad: 3, of: 5`"])]

    def hours(rule: dict[str, Any]) -> Iterator[str]:
        degraded = {"false_alarms_per_week" if name == "falseAlarmsPerWeek" else name: rule[name] for name in rule}
        for labels in LABELS:
            found, asked = (
                delay(ours(for_a_round=for_a_round, **degraded), BASELINE, FALLEN, labels, delays)
                for for_a_round in (False, True)
            )
            yield f"{found} / {asked}"

    head = ["degraded", "alarms accepted", *(f"rounds, {labels} labels" for labels in LABELS)]
    head += [f"delay, {labels}" for labels in LABELS]
    title = (
        "Rounds that 100 studies start in a year in which nothing is wrong; hours until a fall is found / asks for one"
    )
    table(title, head, rows())


def not_as_assumed(studies: int) -> None:
    """200 labels an hour."""

    def dependent(number: int) -> Shares:
        pairs = (200 - 1) / (2 - 1) - 1  # of a beta distribution, so that variances are doubled
        rng = np.random.default_rng(2)
        return rng.binomial(200, rng.beta(BASELINE * pairs, (1 - BASELINE) * pairs, (number, YEAR))) / 200

    cases: dict[str, Callable[[int], Shares]] = {
        "the model is worth 0.895": lambda number: shares(200, 0.895, number),
        "the model is worth 0.890": lambda number: shares(200, 0.89, number),
        "labels vary twofold": dependent,
    }
    rules = {name: rule for name, rule in RULES.items() if "bad" not in rule}
    rows = (
        [
            name,
            *(per_hundred([len(WatchedStudy(year, 200, rule).starts()) for year in years]) for rule in rules.values()),
        ]
        for name, years in ((name, make(max(1, studies // 10))) for name, make in cases.items())
    )
    table("The same where the baseline of 0.90 or the labels are not as assumed, 200 labels", ["", *rules], rows)


def fallen(studies: int) -> None:
    """To the degraded level, for longer than any patience."""

    def rows() -> Iterator[list[object]]:
        for labels in LABELS:
            falls, mended = (shares(labels, share, studies, 13 * WEEK) for share in (FALLEN, BASELINE))
            yield [
                labels,
                rounds(WatchedStudy(fall, labels, {}, never_better).starts() for fall in falls),
                rounds(
                    WatchedStudy(fall, labels, {}, _recovers(good)).starts()
                    for fall, good in zip(falls, mended, strict=True)
                ),
                rounds(WatchedStudy(fall, labels, {}, _improved).starts() for fall in falls),
                rounds(naive_starts(fall) for fall in falls),
            ]

    head = ["labels", "NoBetter", "Improved, and production recovers", "Improved, and it does not", "the naive loop"]
    table("Rounds of one fall within thirteen weeks, by what they come to", head, rows())


def _improved(_values: Shares, _hour: int) -> Literal["Improved"]:
    return "Improved"


def _recovers(well: Shares) -> Callable[[Shares, int], Literal["Improved"]]:
    def ending(values: Shares, hour: int) -> Literal["Improved"]:
        values[hour:] = well[hour:]
        return "Improved"

    return ending


def rounds_a_year(labels: int, studies: int, rule: dict[str, Any]) -> str:
    return per_hundred([len(WatchedStudy(year, labels, rule).starts()) for year in years(labels, studies)])


def years(labels: int, studies: int) -> Shares:
    return shares(labels, BASELINE, studies)


def shares(labels: int, share: float, studies: int, hours: int = YEAR) -> Shares:
    rng = np.random.default_rng([labels, round(1000 * share)])
    return rng.binomial(labels, share, (studies, hours)) / labels


def per_hundred(found: Sequence[int]) -> str:
    return f"{float(f'{100 * sum(found) / len(found):.3g}'):g}"


def rounds(starts: Iterable[Sequence[int]]) -> str:
    """The least and the most of several."""
    numbers = sorted({len(each) for each in starts})
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


if __name__ == "__main__":
    main()
