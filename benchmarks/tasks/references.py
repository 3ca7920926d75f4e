"""The scale on which each task's regret is read: `python -m tasks.references` in benchmarks/ finds and writes it."""

import json
from functools import cache
from pathlib import Path

import numpy as np

from tasks.task import Scale, Task, at, place, random_point

_FILE = Path(__file__).parent / "references.json"
_RANDOM = 2001
_CLIMBS = 6
_STEPS = 150
_NEIGHBOURS = 16


@cache
def scale(name: str) -> Scale:
    return Scale(**json.loads(_FILE.read_text())[name])


def find(task: Task) -> Scale:
    """The lowest value, if nobody knows it, by random restarts of a local search from the best of random points."""
    rng = np.random.default_rng(99)
    points = [random_point(task.parameters, rng) for _ in range(_RANDOM)]
    values = np.array([task.value(point) for point in points])
    lowest = float(values.min())
    if task.lowest is not None:
        return Scale(task.lowest, float(np.quantile(values, 0.25)), float(np.median(values)))
    for first in np.argsort(values)[:_CLIMBS]:
        point, value = points[first], values[first]
        for step in range(_STEPS):
            width = (0.2, 0.05, 0.01, 0.002)[step % 4]
            near = [_neighbour(task, point, width, rng) for _ in range(_NEIGHBOURS)]
            there = [task.value(other) for other in near]
            if min(there) < value:
                point, value = near[int(np.argmin(there))], min(there)
        lowest = min(lowest, float(value))
    return Scale(lowest, float(np.quantile(values, 0.25)), float(np.median(values)))


def _neighbour(task: Task, point: dict[str, object], width: float, rng: np.random.Generator) -> dict[str, object]:
    places = {}
    for parameter in task.parameters:
        anywhere = parameter.name not in point or (parameter.type == "Categorical" and rng.random() < 0.15)
        there = rng.random() if anywhere else place(parameter, point[parameter.name])
        if parameter.type != "Categorical" and rng.random() < 0.6:
            there = float(np.clip(there + width * rng.standard_normal(), 0, 1 - 1e-9))
        places[parameter.name] = there
    return at(task.parameters, places)


if __name__ == "__main__":
    from tasks.analytic import ANALYTIC
    from tasks.surrogates import SURROGATES

    found = {task.name: vars(find(task)) for task in [*ANALYTIC, *SURROGATES]}
    _FILE.write_text(json.dumps(found, indent=1) + "\n")
