"""Fixtures of the reports' tests."""

import pytest

from skkd import DistilledClassifier


@pytest.fixture
def fits(monkeypatch):
    """What was fitted: a list of (has a teacher, number of rows)."""
    seen = []
    fit = DistilledClassifier.fit

    def noted(self, X, y=None, **kwargs):
        seen.append((self.teacher is not None, len(y)))
        return fit(self, X, y, **kwargs)

    monkeypatch.setattr(DistilledClassifier, "fit", noted)
    return seen
