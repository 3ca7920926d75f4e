"""The types of the document that the page reads: columns of numbers and of texts, and what is told of the round."""

from typing import Any, Literal, NotRequired, TypedDict

FORMAT = 1
"""Of the document. A page and a server of different formats do not understand one another."""


class NumberColumn(TypedDict):
    """One number for each trial. An Int, and what was reported as a whole number, is a float64 as well."""

    kind: Literal["number"]
    data: str
    """Base64 of float64s, little-endian; NaN where the trial has none. Infinities are as they are."""


class ChoiceColumn(TypedDict):
    """One text for each trial, of few."""

    kind: Literal["choice"]
    values: list[str]
    """Of a parameter: JSON, or a string as it stands where that is no other JSON: `rbf`, `0.1`, `null`, `"1"`."""
    data: str
    """Base64 of uint16s, little-endian: indices into `values`; 65535 where the trial has none."""


Column = NumberColumn | ChoiceColumn


class NamedColumn(TypedDict):
    name: str
    column: Column
    log: NotRequired[bool]
    whole: NotRequired[bool]
    """Only whole numbers are possible."""


class Trials(TypedDict):
    """Every list and column is in the order of `number`."""

    number: NumberColumn
    state: ChoiceColumn
    """complete, pruned, failed, running or waiting."""
    feasible: ChoiceColumn
    """yes or no, of complete trials."""
    phase: ChoiceColumn
    worker: ChoiceColumn
    start: NumberColumn
    """Seconds since the first trial began."""
    end: NumberColumn
    metrics: list[NamedColumn]
    parameters: list[NamedColumn]
    failure: ChoiceColumn
    traceback: ChoiceColumn
    """The last frames of Python code in which the trial failed."""
    attributes: ChoiceColumn
    """The objective's own user attributes, as JSON."""


class Reports(TypedDict):
    """Intermediate values of some trials, ordered by trial and step."""

    trial: NumberColumn
    step: NumberColumn
    value: NumberColumn
    told: int
    """How many trials' reports these are..."""
    all: int
    """...of so many that have reported."""


class Asked(TypedDict):
    """What the study's author wrote."""

    objectives: list[dict[str, Any]]
    constraints: list[dict[str, Any]]
    parameters: list[dict[str, Any]]
    phases: list[dict[str, Any]]
    budget: dict[str, Any]
    objective: str
    preparation: list[str]
    """What the workers make of a table's columns, a line each."""
    seed: int
    versions: dict[str, str]


class Counted(TypedDict):
    complete: int
    pruned: int
    failed: int
    running: int
    waiting: int


class Head(TypedDict):
    """All besides the trials: small, and sent anew with every change."""

    format: int
    study: str
    """Its name in the store, by which the server knows it."""
    name: str
    namespace: str
    round: int
    state: str
    reason: str
    """Why it is over; empty while it goes on."""
    detail: str
    counts: Counted
    limit: int | None
    """Trials of the budget."""
    seconds: float
    """That the round has run, without its pauses."""
    started: str
    """ISO 8601, UTC."""
    written: str
    best: int | None
    chosenBy: str
    """How a selection chose the best, as in Knee among 12; empty without one, and where it chose nothing."""
    front: list[int]
    """The Pareto set, best first by the objectives in their order; empty with one objective."""
    hypervolume: list[tuple[int, float]]
    """Numbers of trials, and the share of what is possible that the Pareto set covers then; empty with one objective.
    """
    verification: dict[str, Any] | None
    """`rows` (one for each candidate; see verification_rows), `message`, and `done` of `runs`; None without one."""
    known: dict[str, Any]
    """`rows` (one for each point that was known before the first trial; see known.known_rows), and `control`, what such
    points are worth here in a sentence; empty for fewer than three earlier studies."""
    outlook: str
    """What as many trials again would likely have brought, in a sentence; empty while the round goes on."""
    workers: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    """`reasons` are those that differ in numbers alone; `reason` is the most frequent of them."""
    diagnosis: list[dict[str, Any]]
    """`reason` and `message` of each thing that is wrong with the round; empty while it runs."""
    asked: Asked


class Document(TypedDict):
    head: Head
    trials: Trials
    reports: Reports
