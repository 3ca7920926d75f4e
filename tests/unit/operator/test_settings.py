"""What the operator takes from its environment, and what it says of what it cannot take."""

import pytest

from tuning_kube.errors import InvalidSettings
from tuning_operator.executors.worker_job.job import RESTRICTED
from tuning_operator.settings import Settings, from_environment

LEAST = {"TUNING_STORE_URL": "postgresql://tuning:secret@db/tuning", "TUNING_WORKER_IMAGE": "tuning-worker:1"}


def settings(**more: str) -> Settings:
    return from_environment(LEAST | more)


def test_workers_are_restricted_unless_the_chart_says_how_they_are_made() -> None:
    assert settings().worker_pod_templates == (RESTRICTED,)
    made = settings(TUNING_WORKER_POD_TEMPLATES='[{"spec": {"nodeSelector": {"pool": "gpu"}}}, {}]')
    assert made.worker_pod_templates == ({"spec": {"nodeSelector": {"pool": "gpu"}}}, {})


WRONG = [
    ("TUNING_WORKER_IMAGE", "", "the environment variable TUNING_WORKER_IMAGE is not set"),
    ("TUNING_WORKER_POD_TEMPLATES", "{", "write a JSON list of pod templates"),
    ("TUNING_WORKER_POD_TEMPLATES", '{"spec": {}}', "write a JSON list of pod templates"),
    ("TUNING_WORKER_POD_TEMPLATES", "[1]", "write a JSON list of pod templates"),
    ("TUNING_PORT", "http", "write a port number"),
    ("TUNING_STORE_CONNECTIONS", "0", "write how many connections"),
]


@pytest.mark.parametrize(("variable", "text", "told"), WRONG)
def test_a_variable_that_makes_no_sense_is_named_with_what_to_write(variable: str, text: str, told: str) -> None:
    with pytest.raises(InvalidSettings, match=told) as error:
        settings(**{variable: text})
    assert variable in str(error.value)


def test_the_password_is_in_no_text_about_the_settings() -> None:
    assert "secret" not in repr(settings())
