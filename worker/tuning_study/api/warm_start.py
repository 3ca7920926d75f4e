"""`spec.warmStart`: what is tried before the sampler chooses."""

from typing import Literal

from pydantic import Field

from tuning_study.api.field_types import FreeObject, ObjectName
from tuning_study.api.rules import Model


class EarlierTrials(Model):
    """The best trials of an earlier study."""

    name: ObjectName = Field(description="Name of a study of this namespace. Example: digits-old.")
    top: int = Field(
        10, ge=1, le=100, description="Number of its last round's best trials that are tried first. Default: 10."
    )


class History(Model):
    """What did well in the namespace's earlier studies of the same model, most of all on data like this study's."""

    neighbours: int = Field(
        3,
        ge=0,
        le=20,
        description="The best trial of each of so many studies is tried, those whose data are most like this study's. "
        "Default: 3.",
    )
    portfolio: int = Field(
        5,
        ge=0,
        le=20,
        description="So many settings are tried, in turn with the neighbours, that together did well in all earlier "
        "studies. Default: 5.",
    )


class WarmStart(Model):
    """What is tried before the sampler chooses. A retuning round starts from the best trials of the last round
    instead."""

    points: list[FreeObject] = Field(
        default_factory=list,
        max_length=100,
        description="Known good settings to try first, each a mapping of parameter names to values. The sampler fills "
        "in what is missing; a value outside the space is moved into it. If left out, the sampler chooses from the "
        "start. Example: [{C: 1.0, kernel: rbf}].",
    )
    studies: list[EarlierTrials] | None = Field(
        None,
        max_length=10,
        description="Earlier studies of this namespace whose best trials are tried next. Of their parameters those "
        "that this study has too are kept; the sampler fills in the others. If left out, none. "
        "Example: [{name: digits-old, top: 10}].",
    )
    history: History | None = Field(
        None,
        description="Try next what did well in all earlier studies of this namespace that tuned the same model, most "
        "of all on similar data. For sklearn objectives, whose data the workers know. If left out, earlier studies are "
        "not looked at. Example: {neighbours: 3, portfolio: 5}.",
    )
    portfolio: Literal["BuiltIn", "None"] | None = Field(
        None,
        description="BuiltIn: try next a few settings that did well on many data sets, for the models of scikit-learn, "
        "XGBoost, LightGBM and CatBoost that have some. None: do not. If left out, BuiltIn where the study begins with "
        "a sampler that learns (Auto, TPE, GP, CmaEs), and None otherwise. Example: None.",
    )
