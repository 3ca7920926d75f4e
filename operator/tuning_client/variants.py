"""One study with several samplers or pruners: what `tuning compare` is asked for, as specs that can run. Pure.

A name of a list stands in every phase of the study, so that phases can be compared with the sampler or pruner of none.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tuning_client.exceptions import WrongUse
from tuning_client.studyfile import StudyFile
from tuning_study.api.spec import TuningStudySpec
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import read_spec
from tuning_study.seeds import study_seed, trial_seed

Part = Literal["sampler", "pruner"]
_EXAMPLES: Mapping[Part, str] = {
    "sampler": "TPE,CmaEs,Random or 'TPE, {type: TPE, options: {nStartupTrials: 20}}'",
    "pruner": "None,Median,Hyperband or 'None, {type: Patient, options: {patience: 3}}'",
}
_AS_WRITTEN = re.compile(r"as[ _-]?written", re.IGNORECASE)
_OPTIONS: Mapping[Part, str] = {"sampler": "--samplers", "pruner": "--pruners"}


@dataclass(frozen=True)
class Variant:
    """A study with another sampler or pruner."""

    label: str
    slug: str
    """Of the names of its runs; the same for the same sampler or pruner, whatever it is compared with."""
    spec: TuningStudySpec

    def run(self, study: StudyFile, repeat: int) -> StudyFile:
        """The study's run of that number, from 1. Runs of one number have the same seed, whatever the variant."""
        seed = self.spec.seed if self.spec.seed is not None else study_seed(study.name)
        spec = self.spec.model_copy(update={"seed": trial_seed(seed, repeat, "compare")})
        return replace(study, name=f"{study.name}-compare-{self.slug}-{repeat}", spec=spec)


def variants(study: StudyFile, part: Part, text: str, trials: int | None) -> list[Variant]:
    """What the list in `text` names, each with the same budget. Raises WrongUse for what cannot run."""
    found = [_variant(study, part, entry, trials) for entry in _entries(part, text)]
    twice = next((each.label for place, each in enumerate(found) if each.slug in {o.slug for o in found[:place]}), None)
    if twice is not None:
        raise WrongUse(f"{_OPTIONS[part]}: {twice} is listed twice: leave one out")
    if len(found) < 2:
        raise WrongUse(f"{_OPTIONS[part]}: write two {part}s at least, such as {_EXAMPLES[part]}")
    return found


def _entries(part: Part, text: str) -> list[str | dict[str, Any]]:
    problem = f"{_OPTIONS[part]}: write names with commas between them, such as {_EXAMPLES[part]}"
    try:
        entries = YAML(typ="safe", pure=True).load(f"[{text}]")
    except YAMLError as error:
        raise WrongUse(problem) from error
    if not isinstance(entries, list) or not all(isinstance(entry, str | dict) for entry in entries):
        raise WrongUse(problem)
    return entries


def _variant(study: StudyFile, part: Part, entry: str | dict[str, Any], trials: int | None) -> Variant:
    manifest = _comparable(study.spec.manifest(), trials)
    if isinstance(entry, str) and _AS_WRITTEN.fullmatch(entry):
        label, slug = "As written", "as-written"
    else:
        wanted = {"type": entry} if isinstance(entry, str) else entry
        label, slug = _label(wanted), _slug(wanted)
        manifest["strategy"] = _with_part(manifest.get("strategy", {}), part, wanted)
    try:
        return Variant(label, slug, read_spec(manifest))
    except InvalidStudy as invalid:
        lines = (f"{_OPTIONS[part]}: {label}: {problem}" for problem in invalid.problems)
        raise WrongUse("\n".join(lines)) from invalid


def left_out(spec: TuningStudySpec) -> list[str]:
    """What would end some runs before others, or let them learn from others, and is therefore no part of a
    comparison."""
    unfair = {
        "goal": any(metric.goal is not None for metric in spec.metrics),
        "budget.noImprovement": spec.budget.no_improvement is not None,
        "warmStart.history": spec.warm_start.history is not None,
    }
    return [field for field, is_set in unfair.items() if is_set]


def _comparable(manifest: dict[str, Any], trials: int | None) -> dict[str, Any]:
    """Every run gets the whole budget, and starts from what the manifest says alone: history would let later runs learn
    from earlier ones, and built-in settings are tried by some samplers only."""
    warm_start = {key: value for key, value in manifest.get("warmStart", {}).items() if key != "history"}
    budget = {key: value for key, value in manifest["budget"].items() if key != "noImprovement"}
    return manifest | {
        "metrics": [{key: value for key, value in metric.items() if key != "goal"} for metric in manifest["metrics"]],
        "budget": budget | ({"trials": trials} if trials is not None else {}),
        "warmStart": {"portfolio": "None"} | warm_start,
        "retune": {"warmStart": {"best": 0}},
    }


def _with_part(strategy: Mapping[str, Any], part: Part, wanted: dict[str, Any]) -> dict[str, Any]:
    if "phases" in strategy:
        return {"phases": [phase | {part: _keeping(phase.get(part), wanted)} for phase in strategy["phases"]]}
    return {**strategy, part: _keeping(strategy.get(part), wanted)}


def _keeping(written: Mapping[str, Any] | None, wanted: dict[str, Any]) -> dict[str, Any]:
    """A bare name of what the manifest has means that, options and all."""
    return dict(written) if written is not None and wanted == {"type": written.get("type")} else wanted


def _label(wanted: Mapping[str, Any]) -> str:
    options = dict(wanted.get("options") or {}) | ({"wrapped": wanted["wrapped"]} if "wrapped" in wanted else {})
    told = " ".join(
        f"{name}={value if isinstance(value, str | int | float) else json.dumps(value)}"
        for name, value in options.items()
    )
    return f"{wanted.get('type')} {told}".strip()


def _slug(wanted: Mapping[str, Any]) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", str(wanted.get("type")).lower()).strip("-")
    if wanted.keys() == {"type"}:
        return name
    return f"{name}-{hashlib.sha256(json.dumps(wanted, sort_keys=True, default=str).encode()).hexdigest()[:6]}"
