"""Whatever cannot be fitted is refused before training, and changes nothing."""

import re

import numpy as np
import pytest
import torch
from bad_inputs import BAD, TEACHER, X, Y
from sklearn.exceptions import NotFittedError

from skkd import DistilledClassifier

# Findings of the health check come before some of the errors.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def student(**params):
    defaults = {"teacher": TEACHER, "max_epochs": 2, "random_state": 0}
    return DistilledClassifier(**{**defaults, **params})


@pytest.fixture(autouse=True)
def no_step(monkeypatch):
    """Let a step of the optimizer be an error of its own."""
    step = torch.optim.Adam.step

    def forbidden(self, *args, **kwargs):
        step(self, *args, **kwargs)  # raises what the loss raises
        raise AssertionError("the student was trained")

    monkeypatch.setattr(torch.optim.Adam, "step", forbidden)
    return lambda: monkeypatch.setattr(torch.optim.Adam, "step", step)


def refused(case, fit):
    with pytest.raises(case.kinds) as info:
        fit()
    assert re.search(case.pattern, str(info.value), re.DOTALL), str(info.value)


def test_the_table_is_long():
    assert len(BAD) >= 200


@pytest.mark.parametrize("what", BAD)
def test_a_new_estimator_stays_unfitted(what):
    case = BAD[what]
    net = student(**case.params)
    before = dict(vars(net))
    refused(case, lambda: net.fit(*case.data(), **case.given))
    assert vars(net) == before
    with pytest.raises(NotFittedError):
        net.predict(X)


@pytest.mark.parametrize("what", BAD)
def test_a_fitted_estimator_predicts_as_before(what, no_step):
    case = BAD[what]
    no_step()
    net = student().fit(X, Y)
    answers, epochs = net.predict_proba(X), len(net.history)

    def fit():
        for name, value in case.params.items():
            if hasattr(net, name):  # by `set_params` a module is built at once
                setattr(net, name, value)
            else:
                net.set_params(**{name: value})
        net.fit(*case.data(), **case.given)

    refused(case, fit)
    for name in case.params.keys() & vars(student()).keys():  # some are for predicting
        setattr(net, name, getattr(student(), name))
    np.testing.assert_array_equal(net.predict_proba(X), answers)
    assert len(net.history) == epochs
