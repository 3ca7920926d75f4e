"""The store that version 05b2e4d left, in the middle of a round."""

import pytest

from .databases import OLD, run_script


@pytest.fixture
def old_url(postgres_url: str) -> str:
    """A server with what version 05b2e4d left."""
    run_script(postgres_url, OLD)
    return postgres_url
