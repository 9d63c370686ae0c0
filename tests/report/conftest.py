"""Fixtures of the reports' tests."""

import pytest

from skkd import DistilledClassifier


@pytest.fixture
def fits(monkeypatch):
    """What was fitted: a list of (has a teacher, number of rows)."""
    seen = []
    run = DistilledClassifier._run  # of those that are trained together, too

    def noted(self, plan, *args):
        seen.append((self.teacher is not None, len(plan.y)))
        return run(self, plan, *args)

    monkeypatch.setattr(DistilledClassifier, "_run", noted)
    return seen
