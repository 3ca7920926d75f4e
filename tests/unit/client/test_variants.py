from pathlib import Path

import pytest

from builders import make_spec, whole
from tuning_client.exceptions import WrongUse
from tuning_client.studyfile import StudyFile
from tuning_client.variants import Variant, left_out, variants
from tuning_study.api.spec import TuningStudySpec

TWO = [{"name": "accuracy", "direction": "Maximize"}, {"name": "latencyMs", "direction": "Minimize"}]


def study(**fields: object) -> StudyFile:
    return StudyFile(Path("digits.yaml"), "digits", make_spec(**fields))


def samplers(spec: TuningStudySpec) -> list[str]:
    return [phase.sampler.type for phase in spec.phases]


def test_each_name_of_the_list_takes_the_place_of_the_sampler() -> None:
    found = variants(study(strategy={"pruner": {"type": "Median"}}), "sampler", "TPE, Random", None)
    assert [samplers(each.spec) for each in found] == [["TPE"], ["Random"]]
    assert [each.spec.phases[0].pruner.type for each in found] == ["Median", "Median"]


def test_phases_are_compared_as_they_are_with_one_sampler_for_all_of_them() -> None:
    phases = [
        {"name": "explore", "trials": 3, "sampler": {"type": "Random"}},
        {"name": "exploit", "trials": 7, "sampler": {"type": "TPE"}, "pruner": {"type": "Median"}},
    ]
    written, tpe = variants(study(strategy={"phases": phases}), "sampler", "As written,TPE", None)
    assert (written.label, written.slug, samplers(written.spec)) == ("As written", "as-written", ["Random", "TPE"])
    assert samplers(tpe.spec) == ["TPE", "TPE"]
    assert [phase.pruner.type for phase in tpe.spec.phases] == ["None", "Median"]


def test_a_bare_name_of_what_the_manifest_has_means_it_with_its_options() -> None:
    written = {"sampler": {"type": "TPE", "options": {"nStartupTrials": 3}}}
    found = variants(study(strategy=written), "sampler", "TPE, {type: TPE, options: {nStartupTrials: 9}}", None)
    assert [each.spec.phases[0].sampler.options.n_startup_trials for each in found] == [3, 9]
    assert [each.label for each in found] == ["TPE", "TPE nStartupTrials=9"]
    assert found[0].slug == "tpe"
    assert found[1].slug.startswith("tpe-")


def test_runs_are_named_after_study_variant_and_seed_and_those_of_one_number_have_one_seed() -> None:
    given = study()
    tpe, random = variants(given, "sampler", "TPE,Random", None)

    def seeds(variant: Variant) -> list[int | None]:
        return [variant.run(given, repeat).spec.seed for repeat in (1, 2, 3)]

    assert tpe.run(given, 2).name == "digits-compare-tpe-2"
    assert seeds(tpe) == seeds(random)
    assert len(set(seeds(tpe))) == 3


def test_every_run_gets_the_whole_budget_and_starts_from_the_manifest_alone() -> None:
    metrics = [{"name": "accuracy", "direction": "Maximize", "goal": 0.9}]
    given = study(metrics=metrics, budget={"trials": 10, "noImprovement": 3, "failedTrials": 7})
    spec = variants(given, "sampler", "TPE,Random", 40)[0].spec
    assert (spec.budget.trials, spec.budget.no_improvement, spec.budget.failed_trials) == (40, None, 7)
    assert spec.metrics[0].goal is None
    assert spec.retune.warm_start.best == 0, "a changed script begins a round without the settings of the last"
    assert left_out(given.spec) == ["goal", "budget.noImprovement"]
    assert left_out(study().spec) == []


def test_no_run_learns_from_another_or_begins_with_what_only_some_samplers_try() -> None:
    sklearn = {"sklearn": {"steps": [{"class": "sklearn.svm.SVC"}], "dataset": {"load": "wine"}}}
    warm_start = {"history": {}, "points": [{"x": 0.5}], "studies": [{"name": "old"}]}
    given = study(objective=sklearn, warmStart=warm_start)
    tried = variants(given, "sampler", "TPE,Random", 40)[0].spec.warm_start
    assert (tried.history, tried.portfolio) == (None, "None")
    assert (tried.points, [each.name for each in tried.studies or []]) == ([{"x": 0.5}], ["old"])
    assert left_out(given.spec) == ["warmStart.history"]
    written = study(objective=sklearn, warmStart={"portfolio": "BuiltIn"})
    assert variants(written, "sampler", "TPE,Random", 40)[0].spec.warm_start.portfolio == "BuiltIn"


@pytest.mark.parametrize(
    ("part", "text", "fields", "told"),
    [
        ("sampler", "TPEE,Random", {}, "--samplers: TPEE: spec.strategy.sampler.type: .*did you mean TPE?"),
        ("sampler", "TPE", {}, "--samplers: write two samplers at least, such as TPE,CmaEs,Random"),
        ("sampler", "", {}, "write two samplers at least"),
        ("sampler", "TPE,TPE", {}, "--samplers: TPE is listed twice: leave one out"),
        ("sampler", "TPE,,Random", {}, "--samplers: write names with commas between them, such as TPE,CmaEs,Random"),
        ("sampler", "TPE,[", {}, "write names with commas"),
        ("sampler", "TPE,7", {}, "write names with commas"),
        ("sampler", "TPE,{type: TPE, options: {startup: 1}}", {}, "TPE has no option 'startup'"),
        ("sampler", "Random,Grid", {}, "a Grid needs parameters, and a `step` for each Float"),
        ("sampler", "Random,Grid", {"parameters": [whole()]}, "the grid has 5 points, not 10: write 5 or fewer"),
        ("pruner", "None,Medain", {}, "--pruners: Medain: .*did you mean Median?"),
        ("pruner", "None,Patient", {}, "--pruners: Patient: .*write `options: {patience: 3}`"),
        ("pruner", "None,Median", {"metrics": TWO}, "--pruners: Median: .*no pruner can judge several objectives"),
    ],
)
def test_wrong_lists(part: str, text: str, fields: dict[str, object], told: str) -> None:
    with pytest.raises(WrongUse, match=told):
        variants(study(**fields), part, text, None)  # type: ignore[arg-type]
