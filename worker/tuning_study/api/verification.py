"""`spec.verification`: how often the best trials are measured again, before one of them is named the best."""

from pydantic import Field

from tuning_study.api.rules import Model, Rule


class Verification(Model):
    """After the search its best trials are measured again, each run with a seed of its own, and the best is chosen by
    these values alone: the best of many noisy values is partly luck. If left out, the search's values decide."""

    top: int = Field(
        5,
        ge=1,
        le=50,
        description="Number of the search's best trials that are measured again; of several objectives those that no "
        "other trial beats come first. Default: 5.",
    )
    repeats: int = Field(
        10,
        ge=2,
        le=100,
        description="Number of runs of each of them. Run by run all have the same seed, so that luck is shared. With "
        "one objective, those that can hardly win any more are dropped earlier. Default: 10.",
    )
    folds: int | None = Field(
        None,
        ge=2,
        le=100,
        description="Number of folds of each run, instead of `crossValidation.folds`; only with sklearn. If left out, "
        "as in the search. Example: 10.",
    )

    rules = (
        Rule(
            "!has(self.top) || !has(self.repeats) || self.top * self.repeats <= 2000",
            "top times repeats is at most 2000 runs: lower one of them",
            lambda v: v.top * v.repeats <= 2000,
        ),
    )
