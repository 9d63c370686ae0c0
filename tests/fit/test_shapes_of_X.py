"""Data frames, mappings and read-only arrays go through a whole fit."""

import pickle
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from skorch.exceptions import DeviceWarning
from torch import nn
from torch.utils.data import Dataset

from skkd import DistilledClassifier
from skkd.students import Standardize

X, Y = load_iris(return_X_y=True)
X = X.astype("float32")
FRAME = pd.DataFrame(X, columns=[*"abcd"])


class Same:
    """An augmentation that changes nothing."""

    def __call__(self, x, seeds=None):
        return x + torch.zeros_like(x)


def student(**params):
    return DistilledClassifier(**{"max_epochs": 2, "random_state": 0, **params})


@pytest.mark.parametrize("views", [{}, {"n_views": 2}, {"teacher_view": "clean"}])
@pytest.mark.parametrize("memory", [None, False])
def test_a_teacher_of_data_frames_is_asked_about_data_frames(views, memory):
    # Any other would make scikit-learn warn that names are missing.
    teacher = LogisticRegression(max_iter=500).fit(FRAME, Y)
    net = student(teacher=teacher, augment=Same(), memory=memory, **views)
    by_array = LogisticRegression(max_iter=500).fit(X, Y)
    other = student(teacher=by_array, augment=Same(), memory=memory, **views)
    net.fit(FRAME, Y)
    other.fit(X, Y)
    np.testing.assert_array_equal(net.predict_proba(FRAME), other.predict_proba(X))


class TwoInputs(nn.Module):
    """Standardises each of two inputs by itself."""

    def __init__(self, n_classes):
        super().__init__()
        self.of_a, self.of_b = Standardize((4,)), Standardize((4,))
        self.head = nn.Linear(8, n_classes)

    def forward(self, a, b, scale=1.0):
        return self.head(torch.cat([self.of_b(b), self.of_a(a)], dim=1)) * scale


@pytest.mark.parametrize("fit_params", [{}, {"scale": 2.0}])
def test_standardize_learns_from_the_input_that_it_is_given(fit_params):
    inputs = {"a": X, "b": 10 * X + 5}
    net = student(module=TwoInputs).fit(inputs, Y, **fit_params)
    np.testing.assert_allclose(net.module_.of_a.mean, X.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(net.module_.of_b.mean, 10 * X.mean(0) + 5, rtol=1e-5)
    np.testing.assert_allclose(net.module_.of_b.std, 10 * X.std(axis=0), rtol=1e-4)
    assert net.predict(inputs).shape == (150,)


def test_weights_count_in_what_standardize_learns():
    weight = np.where(Y == 0, 1.0, 0.0)
    inputs = {"a": X, "b": X}
    net = student(module=TwoInputs).fit(inputs, Y, sample_weight=weight)
    expected = X[Y == 0].mean(axis=0)
    np.testing.assert_allclose(net.module_.of_a.mean, expected, rtol=1e-5)


def test_a_standardize_that_is_never_called_is_named():
    class Idle(TwoInputs):
        def forward(self, a, b):
            return self.head(torch.cat([a, b], dim=1))

    with pytest.raises(ValueError, match="is not called in its forward pass"):
        student(module=Idle).fit({"a": X, "b": X}, Y)


class Rows(Dataset):
    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return torch.from_numpy(X[i]), int(Y[i])


@pytest.mark.parametrize("kind", ["array", "dataset", "frame"])
def test_read_only_arrays_are_taken_without_a_warning(kind):
    logits = np.random.RandomState(0).randn(150, 3).astype(np.float32) + np.eye(3)[Y]
    logits = logits.astype(np.float32)
    frozen, weight = X.copy(), np.ones(150)
    for values in (logits, frozen, weight):
        values.flags.writeable = False
    data = {"array": frozen, "dataset": Rows(), "frame": pd.DataFrame(frozen)}[kind]
    y = None if kind == "dataset" else Y
    net = student(alpha=0.5)
    net.fit(data, y, teacher_logits=logits + 0.0, sample_weight=weight)
    first = net.predict_proba(data)
    net.fit(data, y, teacher_logits=logits, sample_weight=weight)
    np.testing.assert_array_equal(net.predict_proba(data), first)


@pytest.mark.parametrize("device", [None, "cpu", torch.device("cpu")])
def test_a_device_may_be_left_to_accelerate(device):
    teacher = LogisticRegression(max_iter=500).fit(X, Y)
    nets = [student(teacher=teacher, device=d).fit(X, Y) for d in (device, "cpu")]
    one, other = (net.predict_proba(X) for net in nets)
    np.testing.assert_array_equal(one, other)
    # As skorch does it, which cannot know which device was meant.
    expected = pytest.warns(DeviceWarning) if device is None else nullcontext()
    with expected:
        back = pickle.loads(pickle.dumps(nets[0]))
    np.testing.assert_array_equal(back.predict_proba(X), one)
    assert nets[0].get_params()["device"] == device


def test_images_with_no_device_are_laid_out_as_elsewhere():
    images = np.random.RandomState(0).randint(0, 256, (20, 3, 8, 8), dtype=np.uint8)
    net = student(device=None, precision="bf16").fit(images, np.arange(20) % 2)
    assert net.channels_last_ is True
