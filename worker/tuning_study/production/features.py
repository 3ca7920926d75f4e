"""One feature's distribution: the bins of the sample that a round was tuned on, and how many values fall into each.

Workers and `tuning observe` make them of raw values; nothing else is kept or sent, and counts of many pushes add up.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self

from tuning_study.text import truncate

_MOST_BINS = 10
_MOST_CATEGORIES = 50
_LONGEST = 100  # characters of a category


@dataclass(frozen=True)
class Counts:
    """Values of one feature in the bins of its reference."""

    bins: tuple[int, ...]
    missing: int = 0

    @property
    def total(self) -> int:
        return sum(self.bins) + self.missing

    def __add__(self, other: "Counts") -> "Counts":
        """Raises ValueError for counts in other bins."""
        bins = tuple(mine + theirs for mine, theirs in zip(self.bins, other.bins, strict=True))
        return Counts(bins, self.missing + other.missing)

    def document(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"bins": list(self.bins), "missing": self.missing}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Raises ValueError where this is not what `document` returns."""
        return cls(tuple(_whole(count) for count in _listed(document, "bins")), _whole(document.get("missing")))


@dataclass(frozen=True)
class Reference:
    """One feature in the sample that a round was tuned on."""

    counts: Counts
    edges: tuple[float, ...] | None = None
    """Of numbers: upper ends of the bins, each of which belongs to its bin; the last bin has none."""
    categories: tuple[str, ...] | None = None
    """Of anything else: one bin each, and a last one for all others."""

    def __post_init__(self) -> None:
        ends = self.edges if self.categories is None else self.categories
        if ends is None or (self.edges is not None and self.categories is not None):
            raise ValueError("a reference has either edges or categories")
        if len(self.counts.bins) != len(ends) + 1:
            raise ValueError(f"{len(ends)} edges or categories make {len(ends) + 1} bins, not {len(self.counts.bins)}")

    @property
    def knows_all(self) -> bool:
        """Whether every category of the sample has a bin of its own, so that another one is new."""
        return self.categories is not None and self.counts.bins[-1] == 0

    def document(self) -> dict[str, Any]:
        """As plain JSON."""
        ends = {"edges": list(self.edges)} if self.edges is not None else {"categories": list(self.categories or ())}
        return {**ends, **self.counts.document()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Raises ValueError where this is not what `document` returns."""
        counts = Counts.from_document(document)
        if "categories" in document:
            return cls(counts, categories=tuple(map(str, _listed(document, "categories"))))
        edges = tuple(_finite(edge) for edge in _listed(document, "edges"))
        if list(edges) != sorted(set(edges)):
            raise ValueError("edges: must ascend")
        return cls(counts, edges=edges)


def reference_of(values: Iterable[object]) -> Reference:
    """The bins of a sample, and its counts.

    Numbers have ten bins of equal shares, or fewer where equal values are many; where all values are equal, one bin is
    for what is below, and one for what is above. What is not a number throughout has categories, at most the 50 that
    are most frequent. None and NaN are missing.
    """
    sample = list(values)
    known = [value for value in sample if not _is_missing(value)]
    if all(map(_is_number, known)):
        edges = _quantiles(sorted(map(float, known)))  # type: ignore[arg-type]
        return Reference(_counted(sample, edges, None), edges=edges)
    frequent = Counter(map(_category, known)).most_common(_MOST_CATEGORIES)
    categories = tuple(sorted(category for category, _ in frequent))
    return Reference(_counted(sample, None, categories), categories=categories)


def counts_of(reference: Reference, values: Iterable[object]) -> Counts:
    """How many of the values are in each bin. Among numbers, what is not a number is missing."""
    return _counted(values, reference.edges, reference.categories)


def _counted(values: Iterable[object], edges: tuple[float, ...] | None, categories: tuple[str, ...] | None) -> Counts:
    places = {category: place for place, category in enumerate(categories or ())}
    bins, missing = [0] * (len(places if edges is None else edges) + 1), 0
    for value in values:
        if _is_missing(value) or (edges is not None and not _is_number(value)):
            missing += 1
        elif edges is not None:
            bins[bisect_left(edges, float(value))] += 1  # type: ignore[arg-type]
        else:
            bins[places.get(_category(value), -1)] += 1
    return Counts(tuple(bins), missing)


def _quantiles(ordered: list[float]) -> tuple[float, ...]:
    if not ordered:
        return ()
    if ordered[0] == ordered[-1]:
        ends: Iterable[float] = (math.nextafter(ordered[0], -math.inf), ordered[0])
    else:
        ends = (ordered[math.ceil(step * len(ordered) / _MOST_BINS) - 1] for step in range(1, _MOST_BINS))
        ends = (end for end in ends if end < ordered[-1])
    return tuple(sorted({end for end in ends if math.isfinite(end)}))


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_missing(value: object) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):  # of pandas, which need not be installed
        return True
    return _is_number(value) and math.isnan(value)  # type: ignore[arg-type]


def _category(value: object) -> str:
    return truncate(str(value), _LONGEST)


def _listed(document: Mapping[str, Any], name: str) -> list[Any]:
    found = document.get(name)
    if not isinstance(found, list):
        raise ValueError(f"{name}: must be a list")
    return found


def _whole(count: object) -> int:
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise ValueError(f"{count!r} is no count")
    return count


def _finite(edge: object) -> float:
    if not _is_number(edge) or not math.isfinite(edge):  # type: ignore[arg-type]
        raise ValueError(f"{edge!r} is no edge")
    return float(edge)  # type: ignore[arg-type]
