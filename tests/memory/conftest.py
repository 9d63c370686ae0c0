"""Fixtures for tests of the cache."""

import pytest


@pytest.fixture(params=["process", "folder"])
def place(request, tmp_path):
    """Where logits are cached: each test that uses it runs with both."""
    return None if request.param == "process" else str(tmp_path / "memory")
