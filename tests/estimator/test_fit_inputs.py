"""X of every dtype and layout, feature names, and students that suit it."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from estimator_helpers import (
    C,
    D,
    Echo,
    Forbidden,
    N,
    Seeing,
    distil,
    equal,
    quiet_teachers,
    state,
)
from helpers import stable_repr
from sklearn.linear_model import LogisticRegression
from skorch.callbacks import EpochScoring
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import TensorDataset

from skkd.students import MLP

pytestmark = quiet_teachers

# --- Inputs and students ---


@pytest.mark.parametrize(
    ("dtype", "parameters"),
    [
        (np.float64, torch.float64),
        (np.float32, torch.float32),
        (np.float16, torch.float32),
        (np.int64, torch.float32),
        (np.uint8, torch.float32),
        (bool, torch.float32),
        (">f8", torch.float64),
    ],
)
def test_tables_of_any_dtype(X, y, forest, dtype, parameters):
    rows = (10 * np.abs(X)).astype(dtype)
    net = distil(teacher=forest).fit(rows, y)
    assert {p.dtype for p in net.module_.parameters()} == {parameters}
    assert net.predict_proba(rows).shape == (N, C)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_images_of_any_dtype(dtype):
    X = np.random.RandomState(0).randint(0, 255, (8, 1, 6, 6)).astype(dtype)
    net = distil().fit(X, np.arange(8) % 2)
    assert {p.dtype for p in net.module_.parameters()} == {torch.float32}
    assert net.n_features_in_ == 1
    assert net.input_shape_ == (1, 6, 6)
    with pytest.raises(ValueError, match=r"\(2, 1, 7, 6\), expected \(n, 1, 6, 6\)"):
        net.predict(np.zeros((2, 1, 7, 6), dtype))
    with pytest.raises(ValueError, match=r"\(2, 3, 6, 6\)"):
        net.predict(np.zeros((2, 3, 6, 6), dtype))


def test_uint8_images_reach_the_module_as_uint8():
    X = np.random.RandomState(0).randint(0, 255, (8, 3, 4, 4)).astype(np.uint8)
    net = distil(module=Seeing, module__log=[]).fit(X, np.arange(8) % 2)
    net.predict(X)
    assert {x.dtype for x in net.module_.log} == {torch.uint8}
    np.testing.assert_array_equal(net.module_.log[-1].numpy(), X)


def test_float64_tables_reach_a_float32_module_as_float32(X, y):
    net = distil(module=Seeing, module__log=[]).fit(X, y)
    assert {x.dtype for x in net.module_.log} == {torch.float32}


def test_bfloat16_students_predict_float32_probabilities(X, y):
    class Half(MLP):
        def __init__(self, n_classes, input_shape):
            super().__init__(n_classes, input_shape)
            self.bfloat16()

    net = distil(module=Half).fit(X, y, teacher_logits=np.zeros((N, C)))
    p = net.predict_proba(X)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)


def test_students_may_have_lazy_layers(X, y, forest):
    net = distil(module=lambda n_classes: nn.LazyLinear(n_classes), max_epochs=1)
    before = net.set_params(lr=0.0).fit(X, y).module_.weight.clone()
    after = net.set_params(lr=0.1).fit(X, y).module_.weight
    assert (before - after).abs().max() > 0.01
    net.set_params(max_epochs=0, teacher=nn.Linear(D, C)).fit(X, y)


def test_x_may_be_read_only_or_strided(X, y, forest):
    frozen = X.copy()
    frozen.flags.writeable = False
    expected = state(distil(teacher=forest).fit(X, y))
    assert equal(expected, state(distil(teacher=forest).fit(frozen, y)))
    fortran = np.asfortranarray(X)
    assert equal(expected, state(distil(teacher=forest).fit(fortran, y)))
    backwards = np.ascontiguousarray(X[::-1])[::-1]
    assert equal(expected, state(distil(teacher=forest).fit(backwards, y)))


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        (np.zeros((N, 8, 8)), ValueError, r"X\[:, None\]"),
        (np.array(["a.png"] * N), ValueError, "ImageReader"),
        (["a.png"] * N, ValueError, "ImageReader"),
        ([["a.png"]] * N, ValueError, "ImageReader"),
        (pd.Series(["a.png"] * N), ValueError, "ImageReader"),
        (pd.DataFrame({"path": ["a.png"] * N}), ValueError, "ImageReader"),
        (np.full((N, D), np.nan), ValueError, "NaN"),
        (np.zeros(N), ValueError, "2D|1D"),
        (np.zeros((0, D)), ValueError, "0 sample"),
        (np.zeros((N, 0)), ValueError, "0 feature"),
    ],
    ids=stable_repr,
)
def test_x_that_is_no_table_and_no_image_is_refused(y, rows, error, message):
    net = distil()
    with pytest.raises(error, match=message):
        net.fit(rows, y)
    assert not net.initialized_


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Linear(D + 1, C), "does not take rows of X"),
        (nn.Linear(D, C + 1), r"shape \(n, 4\), expected \(n, 3\)"),
        (nn.Sequential(nn.Linear(D, C), nn.Unflatten(1, (C, 1))), "expected"),
        (nn.Embedding(4, C), "does not take rows of X"),
    ],
)
def test_a_student_that_does_not_fit_is_refused(X, y, module, message):
    before = copy.deepcopy(module.state_dict())
    net = distil(module=module, teacher=Forbidden())
    with pytest.raises(ValueError, match=message):
        net.fit(X, y)
    assert equal(before.values(), module.state_dict().values())
    assert not hasattr(net, "module_")


def test_a_student_that_returns_no_tensor_is_refused(X, y):
    class Strange(Echo):
        def forward(self, x):
            return {"out": super().forward(x)}

    with pytest.raises(TypeError, match="returns a dict"):
        distil(module=Strange).fit(X, y)


def test_a_module_instance_is_a_template(X, y):
    template = nn.Linear(D, C)
    before = copy.deepcopy(template.state_dict())
    net = distil(module=template).fit(X, y)
    assert net.module_ is not template
    assert equal(before.values(), template.state_dict().values())
    assert not equal(state(net), [*before.values()])


def test_a_partial_as_module_keeps_its_bound_arguments(X, y):
    from functools import partial

    net = distil(module=partial(MLP, hidden=(7,), n_classes=C)).fit(X, y)
    assert net.module_.body[1].out_features == 7
    net = distil(module=partial(MLP, n_classes=5))
    with pytest.raises(ValueError, match="expected"):
        net.fit(X, y)


def test_an_argument_that_the_module_lacks_is_named(X, y):
    with pytest.raises(TypeError, match="module__<argument>"):
        distil(module=nn.Linear).fit(X, y)


# --- Features ---


def test_feature_names_are_stored_and_compared(X, y):
    frame = pd.DataFrame(X, columns=list("abcd"))
    teacher = LogisticRegression().fit(frame, y)
    net = distil(teacher=teacher, train_split=ValidSplit(3)).fit(frame, y)
    assert net.feature_names_in_.tolist() == list("abcd")
    net.predict(frame)
    with pytest.raises(ValueError, match="feature names"):
        net.predict(frame[list("dcba")])
    with pytest.warns(UserWarning, match="feature names"):
        net.predict(X)


@pytest.mark.parametrize("use_caching", [True, False])
def test_callbacks_predict_frames_without_a_warning(X, y, use_caching):
    frame = pd.DataFrame(X, columns=list("abcd"))
    scoring = EpochScoring("accuracy", use_caching=use_caching, name="acc")
    net = distil(train_split=ValidSplit(3), callbacks=[scoring])
    net.fit(frame, pd.Series(y))
    assert net.history[-1, "acc"] == net.history[-1, "valid_acc"]


def test_the_number_of_features_is_compared(X, y):
    net = distil().fit(X, y)
    assert net.n_features_in_ == D
    for wrong in (X[:, :2], torch.tensor(X[:, :2])):
        with pytest.raises(ValueError, match=r"2 features|shape \(2,\)"):
            net.predict(wrong)
    with pytest.raises(ValueError, match="features"):
        net.partial_fit(X[:, :2], y)


def test_a_fit_forgets_the_features_of_the_last_fit(X, y):
    net = distil(module=MLP, module__input_shape=(2,))
    net.set_params(module__input_shape=(D,)).fit(pd.DataFrame(X).add_prefix("a"), y)
    dataset = TensorDataset(torch.tensor(X[:, :2]), torch.tensor(y))
    net.set_params(module__input_shape=(2,)).fit(dataset, None)
    assert not hasattr(net, "feature_names_in_")
    assert net.predict(X[:, :2]).shape == (N,)
