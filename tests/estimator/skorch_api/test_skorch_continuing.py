"""partial_fit, warm_start, fit_loop, and parameters from files."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.dataset import ValidSplit
from skorch_helpers import D, N, distil, equal, quiet_teachers

from skkd import DistillationWarning
from skkd.students import MLP

pytestmark = quiet_teachers


def test_partial_fit_continues_training(net, X, y):
    net.set_params(max_epochs=1)
    for _ in range(3):
        net.partial_fit(X, y)
    assert len(net.history) == 3
    first = net.history[0, "train_loss"]
    assert net.history[-1, "train_loss"] < first


def test_partial_fit_keeps_the_standardisation(net, X, y):
    mean = net.partial_fit(X, y).module_.standardize.mean.clone()
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-5)
    with pytest.warns(
        DistillationWarning, match="another scale than in the fit before"
    ):
        net.partial_fit(X + 100, y)
    assert torch.equal(net.module_.standardize.mean, mean)


def test_partial_fit_with_classes(net, X, y):
    rows = y == "yes"
    net.set_params(teacher=None).partial_fit(X[rows], y[rows], classes=["no", "yes"])
    net.partial_fit(X[~rows], y[~rows])
    assert net.predict_proba(X).shape == (N, 2)
    net.partial_fit(X, y, classes=["yes", "no"])  # the same classes
    with pytest.raises(ValueError, match="differs"):
        net.partial_fit(X, y, classes=["yes", "no", "perhaps"])
    with pytest.raises(ValueError, match="outside the known classes: perhaps"):
        net.partial_fit(X, np.full(N, "perhaps"))


def test_partial_fit_takes_what_fit_takes(net, X, y):
    net.partial_fit(X, y, teacher_logits=np.zeros((N, 2)), sample_weight=np.ones(N))
    net.partial_fit(X, y, teacher_X=X)


def test_warm_start_continues_training(net, X, y):
    net.set_params(warm_start=True).fit(X, y)
    before = net.history[-1, "train_loss"]
    net.fit(X, y)
    assert len(net.history) == 6
    assert net.history[-1, "train_loss"] < before
    with pytest.raises(ValueError, match="outside the known classes"):
        net.fit(X, np.arange(N) % 3)
    cold = net.set_params(warm_start=False, teacher=None).fit(X, np.arange(N) % 3)
    assert cold.classes_.tolist() == [0, 1, 2]


def test_warm_start_equals_partial_fit(net, X, y):
    warm = clone(net).set_params(warm_start=True)
    assert equal(warm.fit(X, y).fit(X, y), net.partial_fit(X, y).partial_fit(X, y))


@pytest.mark.parametrize("split", [None, ValidSplit(3)])
def test_fit_loop_continues_as_partial_fit_does(X, y, split):
    net = distil(train_split=split, max_epochs=1)
    expected = clone(net).fit(X, y).partial_fit(X, y)
    net.fit(X, y)
    torch.manual_seed(net.next_seed_)
    net.fit_loop(X, y, epochs=1)
    assert equal(net, expected)


def test_parameters_survive_a_file(net, X, y, tmp_path):
    net.fit(X, y)
    files = {
        "f_params": tmp_path / "params.pt",
        "f_optimizer": tmp_path / "optimizer.pt",
        "f_criterion": tmp_path / "criterion.pt",
        "f_history": tmp_path / "history.json",
    }
    net.save_params(**files)
    shape = {"module__n_classes": 2, "module__input_shape": (D,)}
    other = distil(module=MLP, classes=["no", "yes"], **shape)
    other.initialize().load_params(**files)
    np.testing.assert_array_equal(other.predict(X), net.predict(X))
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
    assert len(other.history) == len(net.history)
    nameless = distil(module=MLP, **shape).initialize()
    nameless.load_params(f_params=files["f_params"])
    with pytest.warns(DistillationWarning, match="classes="):
        columns = nameless.predict(X)
    np.testing.assert_array_equal(net.classes_[columns], net.predict(X))


def test_parameters_can_be_set_on_a_fitted_net(net, X, y):
    net.fit(X, y).set_params(lr=0.5, temperature=2, alpha=0.1)
    net.partial_fit(X, y)
    assert net.optimizer_.param_groups[0]["lr"] == 0.5
    net.set_params(module__hidden=(3,)).partial_fit(X, y)
    assert net.module_.body[1].out_features == 3
