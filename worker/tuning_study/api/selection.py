"""`spec.selection`: which trial of the Pareto set is named the best. The policies are in results.selection."""

from typing import Annotated, Literal

from pydantic import Field

from tuning_study.api.field_types import MetricName, Number
from tuning_study.api.rules import Model, Rule

Policy = Literal["Lexicographic", "Weighted", "Knee", "AchievementScalarizing"]
_MOST = 4  # objectives of a study


def _belongs(field: str, policy: Policy, example: str) -> tuple[Rule, Rule]:
    """A field that one policy needs and the others know nothing of."""
    return (
        Rule(
            f"self.policy != '{policy}' || has(self.{field})",
            f"{policy} needs `{field}`: write for example `{field}: {example}`",
            lambda s: s.policy != policy or getattr(s, field) is not None,
        ),
        Rule(
            f"self.policy == '{policy}' || !has(self.{field})",
            f"`{field}` belongs to the policy {policy}: leave it out, or write `policy: {policy}`",
            lambda s: s.policy == policy or getattr(s, field) is None,
        ),
    )


class Selection(Model):
    """With several objectives: which feasible trial of the Pareto set is named the best. It may change at any time, and
    starts no new round. If left out, no single trial is the best."""

    policy: Policy = Field(
        description="The method. Lexicographic keeps the trials with the best first objective of `order`, within its "
        "tolerance, then of those the ones with the best second. Weighted adds up the objectives, each scaled to its "
        "range in the Pareto set. Knee takes the trial where the set bends most. AchievementScalarizing takes the one "
        "that comes closest to `aspiration`, or exceeds it most. Example: Knee."
    )
    order: list[MetricName] | None = Field(
        None,
        min_length=1,
        max_length=_MOST,
        description="With Lexicographic: objectives, the most important first. Those that are left out decide among "
        "the trials that remain. Example: [accuracy, modelBytes].",
    )
    tolerance: dict[str, Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]] | None = Field(
        None,
        min_length=1,
        max_length=_MOST,
        description="With Lexicographic: how much worse than the best value a trial may be and still count as equal, "
        "as a fraction of that value: 0.01 is 1 %. If left out, 0. Example: {accuracy: 0.01}.",
    )
    weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] | None = Field(
        None,
        min_length=1,
        max_length=_MOST,
        description="With Weighted: what each objective counts for. One that is left out counts for nothing. Example: "
        "{accuracy: 1, modelBytes: 0.2}.",
    )
    aspiration: dict[str, Number] | None = Field(
        None,
        min_length=1,
        max_length=_MOST,
        description="With AchievementScalarizing: the value of each objective that would be good enough. Example: "
        "{accuracy: 0.95, latencyMs: 20}.",
    )

    rules = (
        *_belongs("order", "Lexicographic", "[accuracy, modelBytes]"),
        *_belongs("weights", "Weighted", "{accuracy: 1, modelBytes: 0.2}"),
        *_belongs("aspiration", "AchievementScalarizing", "{accuracy: 0.95, latencyMs: 20}"),
        Rule(
            "self.policy == 'Lexicographic' || !has(self.tolerance)",
            "`tolerance` belongs to the policy Lexicographic: leave it out, or write `policy: Lexicographic`",
            lambda s: s.policy == "Lexicographic" or s.tolerance is None,
        ),
        Rule(
            "!has(self.order) || self.order.all(name, self.order.exists_one(other, other == name))",
            "order names an objective twice: remove one of the two",
            lambda s: s.order is None or len(set(s.order)) == len(s.order),
        ),
        Rule(
            "!has(self.tolerance) || !has(self.order) || self.tolerance.all(name, name in self.order)",
            "tolerance names an objective that order does not list: add it to order, or remove it",
            lambda s: s.tolerance is None or s.order is None or set(s.tolerance) <= set(s.order),
        ),
        Rule(
            "!has(self.weights) || self.weights.exists(name, self.weights[name] > 0.0)",
            "all weights are 0: give at least one objective a weight above 0",
            lambda s: s.weights is None or any(weight > 0 for weight in s.weights.values()),
        ),
    )

    @property
    def names(self) -> list[str]:
        """Every metric that it speaks of."""
        return [*(self.order or ()), *(self.weights or ()), *(self.aspiration or ())]
