"""Private parts of Optuna that we stand on: there in the installed version, and named in one place a package."""

import ast
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import optuna
import pytest
from optuna.storages import InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import create_trial

import tuning_store
import tuning_study
import tuning_worker
from tuning_store import optuna_internals
from tuning_store.optuna_internals import CachedStorage, JournalOperation, JournalReplay, models

INTERNALS = {
    tuning_store: "tuning_store.optuna_internals",
    tuning_study: "tuning_study.optuna_internals",
    tuning_worker: "tuning_worker.optuna_internals",
}


def private_imports(file: Path) -> Iterator[str]:
    """Names of Optuna that begin with an underscore, or lie in a module that does."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "optuna":
            yield from (f"{node.module}.{name.name}" for name in node.names if "._" in f"{node.module}.{name.name}")
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("optuna.") and "._" in name.name)


def private_attributes(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Attribute) and node.attr in OPTUNAS_ATTRIBUTES:
            yield node.attr


OPTUNAS_ATTRIBUTES = {
    *("_study_id", "_trial_id", "_replay_result", "_thread_lock", "_sync_with_backend", "_trial_id_to_study_id"),
    *("_thread_local", "_stop_flag"),
}


@pytest.mark.parametrize("module", INTERNALS.values())
def test_each_name_is_there(module: str) -> None:
    internals = import_module(module)
    assert all(getattr(internals, name) is not None for name in internals.__all__)


@pytest.mark.parametrize(("package", "module"), INTERNALS.items(), ids=INTERNALS.values())
def test_no_other_module_of_the_package_knows_them(package: ModuleType, module: str) -> None:
    assert package.__file__ is not None
    root = Path(package.__file__).parent
    found = {
        f"{file.relative_to(root)}: {name}"
        for file in root.rglob("*.py")
        if not module.endswith(file.stem)
        for name in (*private_imports(file), *private_attributes(file))
    }
    assert found == set()


def test_ids_of_studies_and_trials() -> None:
    storage = InMemoryStorage()
    study = optuna.create_study(storage=storage)
    assert optuna_internals.id_of_study(study) == storage.get_study_id_from_name(study.study_name)
    assert optuna_internals.id_of_study(storage.get_all_studies()[0]) == optuna_internals.id_of_study(study)
    study.add_trial(create_trial(value=1.0))
    (trial,) = study.trials
    assert storage.get_trial(optuna_internals.id_of_trial(trial)).number == 0


def test_a_cached_storage_is_what_optuna_makes_of_an_rdb_storage() -> None:
    made = optuna.storages.get_storage("sqlite://")
    assert isinstance(made, CachedStorage)
    assert isinstance(CachedStorage(RDBStorage("sqlite://")), CachedStorage)


def test_values_are_stored_as_optuna_stores_them() -> None:
    assert models.TrialValueModel.value_to_stored_repr(float("inf"))[1].name == "INF_POS"


def test_a_journal_is_read_as_far_as_it_was_written(tmp_path: Path) -> None:
    """By an Optuna of its own, with the operations that redis.round_state writes."""
    written = JournalStorage(JournalFileBackend(str(tmp_path / "log")))
    study = optuna.create_study(storage=written, study_name="s")
    study.enqueue_trial({"x": 1})
    read = JournalReplay(JournalFileBackend(str(tmp_path / "log")))
    with read.lock:
        read.read_on()
        (found,) = read.studies()
        study_id = optuna_internals.id_of_study(found)
        (trial,) = read.trials_of(study_id)
        trial_id = optuna_internals.id_of_trial(trial)
        assert read.trial(trial_id).number == trial.number
        assert read.study_of(trial_id) == study_id
    assert read.writer != ""
    assert {operation.name for operation in JournalOperation} >= {
        *("CREATE_TRIAL", "SET_TRIAL_SYSTEM_ATTR", "SET_TRIAL_USER_ATTR", "SET_TRIAL_STATE_VALUES"),
    }


def test_another_optuna_needs_this_suite_first() -> None:
    """pyproject.toml admits the versions that were tried: private names may go with any minor one."""
    assert version("optuna").startswith("5.0.")
