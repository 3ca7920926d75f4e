"""The first points of a study, before there is anything to learn from.

The first is the middle of everything, on each parameter's own scale, with the first of each category: whoever writes a
space puts what they expect there. Then each branch of the space once, and then points far from all before, inside the
ranges: edges are seldom good, and most of a large space's volume lies there.
"""

import numpy as np

from tuning_study.search.samplers._types import Array
from tuning_study.search.samplers.gaussian.space import Space

_CANDIDATES = 256
_INSIDE = 0.8  # of each range
_MOST = 8  # trials
_BRANCHES = 3  # values from which on a category's branches are tried one by one


class Start:
    def __init__(self, space: Space) -> None:
        self._space = space
        self._branching = _branching(space)
        branches = int(space.categories[self._branching]) + 2 if self._branching is not None else 0
        self.length = int(min(_MOST, max(3 + space.size // 2, branches)))
        """How many trials it takes."""

    def next(self, place: int, known: Array, rng: np.random.Generator) -> Array:
        """A settled row for the trial at this place of the study, from 0.

        `known` are the rows chosen before, whatever became of them, as far as others can see them already: of trials
        that begin at one moment the place alone tells them apart.
        """
        space = self._space
        if place == 0:
            middle = np.where(space.is_category, 0.0, 0.5)[None]
            first: Array = space.settled(middle)[0][0]
            return first
        candidates = space.random(_CANDIDATES, rng)
        numbers = ~space.is_category
        candidates[:, numbers] = 0.5 + _INSIDE * (candidates[:, numbers] - 0.5)
        if self._branching is not None and place < space.categories[self._branching]:
            candidates[:, self._branching] = place
            candidates[:, space.is_conditional & numbers] = 0.5
        rows, _ = space.settled(candidates)
        if not len(known):
            known = rows[:1]
        apart = ((space.embedded(rows)[:, None] - space.embedded(known)) ** 2).sum(axis=2).min(axis=1)
        farthest: Array = rows[int(apart.argmax())]
        return farthest


def _branching(space: Space) -> int | None:
    """The category on which most parameters depend, if it has several values."""
    found = [parent for parent in space.parents if space.categories[parent] >= _BRANCHES]
    return max(found, key=lambda parent: len(space.children(parent)), default=None)
