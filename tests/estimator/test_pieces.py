"""Arrays are predicted in a few large pieces, all else in the way of the user."""

import threading

import numpy as np
import pytest
import torch
from estimator_helpers import distil
from scipy.sparse import csr_array
from sklearn.preprocessing import StandardScaler
from skorch.dataset import Dataset
from skorch.exceptions import NotInitializedError
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from skkd.students import SmallCNN

RNG = np.random.default_rng(0)
N, BATCH = 1000, 64
X = RNG.normal(size=(N, 8)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
# Some students here do on purpose what a fit warns of.
odd_student = pytest.mark.filterwarnings(
    "ignore:The predictions of the student:skkd.exceptions.DistillationWarning"
)
BATCHES = [BATCH] * (N // BATCH) + [N % BATCH]


class Seeing(nn.Module):
    """Notes how many rows it is given outside of training."""

    def __init__(self, width=16):
        super().__init__()
        self.body, self.head = nn.Linear(8, width), nn.Linear(width, 3)
        self.seen = []

    def forward(self, x):
        if not torch.is_grad_enabled():
            self.seen.append(len(x))
        return self.head(self.body(x).relu())


class BesideOthers(Seeing):
    def forward(self, x):
        return super().forward(x - x.mean(0))


class Drawing(Seeing):
    def forward(self, x):
        return super().forward(nn.functional.dropout(x, 0.2, training=True))


class InPlace(Seeing):
    def forward(self, x):
        return super().forward(x.mul_(2))


class TwoOutputs(Seeing):
    def forward(self, x):
        return super().forward(x), x[:, :2]


class Keeping(Seeing):
    """Makes a table once, and keeps it."""

    table = None

    def forward(self, x):
        if self.table is None:
            self.table = torch.ones(8)
        return super().forward(x * self.table)


class OfColumns(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 3)

    def forward(self, a, b):
        return self.head(torch.cat([a, b], dim=1))


def fitted(module, X=X, y=Y, **params):
    return distil(module=module, max_epochs=1, **params).fit(X, y)


def by_batches(net, X, method="predict_proba"):
    """Predict by a DataLoader, as a net does that is given any of its parameters."""
    net.set_params(iterator_valid__drop_last=False)
    try:
        return getattr(net, method)(X)
    finally:
        del net.iterator_valid__drop_last


def rows_seen(net, X):
    net.module_.seen.clear()
    net.predict_proba(X)
    return net.module_.seen


def test_a_few_large_pieces_and_no_trial_twice():
    net = fitted(Seeing)
    assert sum(rows_seen(net, X)) > N  # a trial, and what it tried
    assert rows_seen(net, X) == [N]
    assert rows_seen(net, X[:1]) == [1]
    assert np.array_equal(net.predict(X), by_batches(net, X, "predict"))
    assert net.score(X, Y) == np.mean(net.predict(X) == Y)


IMAGES = RNG.integers(0, 256, (N, 1, 6, 6), dtype=np.uint8)
SPARSE = csr_array(np.where(X > 1, X, 0))
INPUTS = {
    "float32": (Seeing, X),
    "float64": (Seeing, X.astype(float)),
    "tensor": (Seeing, torch.as_tensor(X)),
    "columns": (Seeing, np.asfortranarray(X)),
    "backwards": (Seeing, X[::-1]),
    "sparse": (None, SPARSE),
    "uint8 images": (SmallCNN, IMAGES),
    "standardized": (None, 9 * X + 5),
    "mapping": (OfColumns, {"a": X[:, :3], "b": torch.as_tensor(X[:, 3:])}),
    "several outputs": (TwoOutputs, X),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_answers_are_those_of_the_batches(kind):
    module, inputs = INPUTS[kind]
    net = fitted(module, inputs)
    np.testing.assert_allclose(
        net.predict_proba(inputs), by_batches(net, inputs), rtol=0, atol=1e-6
    )


def test_several_outputs_are_gathered_one_by_one():
    net = fitted(TwoOutputs)
    logits, features = net.forward(X)
    assert logits.shape == (N, 3)
    assert torch.equal(features, torch.as_tensor(X[:, :2]))


def test_read_only_arrays():
    frozen = X.copy()
    frozen.setflags(write=False)
    net = fitted(Seeing)
    assert np.array_equal(net.predict_proba(frozen), net.predict_proba(X))


@odd_student
@pytest.mark.parametrize("module", [BesideOthers, Drawing])
def test_rows_that_depend_on_others_stay_in_their_batches(module):
    net = fitted(module)
    torch.manual_seed(0)
    expected = by_batches(net, X)
    torch.manual_seed(0)
    assert np.array_equal(net.predict_proba(X), expected)
    assert rows_seen(net, X) == BATCHES


def test_large_activations_are_not_multiplied():
    net = fitted(lambda: Seeing(width=5000))
    assert rows_seen(net, X)[-16:] == BATCHES


def test_bfloat16_and_hooks_see_batches():
    half = fitted(Seeing, precision="bf16")
    assert rows_seen(half, X) == BATCHES
    net = fitted(Seeing)
    noted = []
    hook = net.module_.head.register_forward_hook(lambda *a: noted.append(len(a[2])))
    assert rows_seen(net, X) == noted == BATCHES
    hook.remove()
    assert max(rows_seen(net, X)) == N


@odd_student
def test_the_data_stay_as_they_are():
    net, inputs = fitted(InPlace), X.copy()
    net.predict(inputs)
    net.predict(torch.as_tensor(inputs))
    assert np.array_equal(inputs, X)


def test_training_goes_on_with_what_was_kept_in_a_prediction():
    net = distil(module=Keeping, max_epochs=1).fit(X, Y)
    net.module_.table = None
    net.predict(X)
    net.partial_fit(X, Y)


def test_what_a_preprocessor_makes_of_a_table():
    scaler = StandardScaler()
    net = fitted(Seeing, 100 * X, preprocessor=scaler)
    plain = fitted(Seeing, scaler.fit_transform(100 * X))
    assert np.array_equal(net.predict_proba(100 * X), by_batches(net, 100 * X))
    assert np.array_equal(
        net.predict_proba(100 * X), plain.predict_proba(scaler.transform(100 * X))
    )
    assert rows_seen(net, 100 * X) == [N]


# Ways of a user ---------------------------------------------------------------

STEPS = ["get_dataset", "get_iterator", "evaluation_step", "infer", "forward_iter"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("on", ["class", "instance"])
def test_steps_of_a_user_are_taken(step, on):
    net = fitted(Seeing)
    calls = []

    def own(*args, **kwargs):
        calls.append(step)
        return given(*args, **kwargs)

    if on == "class":
        given = getattr(type(net), step)
        net.__class__ = type("Own", (type(net),), {step: own})
    else:
        given = getattr(net, step)
        object.__setattr__(net, step, own)
    net.module_.seen.clear()
    net.predict(X)
    assert calls
    if step != "forward_iter":
        assert net.module_.seen == BATCHES


class OwnLoader(DataLoader):
    pass


class OwnDataset(Dataset):
    pass


@pytest.mark.parametrize(
    "params",
    [
        {"iterator_valid": OwnLoader},
        {"iterator_valid__batch_size": 100},
        {"dataset": OwnDataset},
    ],
)
def test_parts_of_a_user_are_used(params):
    net = fitted(Seeing, **params)
    size = params.get("iterator_valid__batch_size", BATCH)
    assert rows_seen(net, X)[0] == size


def test_datasets_come_in_batches():
    net = fitted(Seeing)
    dataset = TensorDataset(torch.as_tensor(X), torch.as_tensor(Y))
    assert rows_seen(net, dataset) == BATCHES
    assert np.array_equal(net.predict_proba(dataset), by_batches(net, X))


def test_the_whole_data_as_one_batch():
    net = fitted(Seeing, batch_size=-1)
    assert rows_seen(net, X) == [N]


def test_a_net_that_was_not_built():
    with pytest.raises(NotInitializedError):
        distil(module=Seeing).forward(X)


# Threads ----------------------------------------------------------------------


@odd_student
@pytest.mark.parametrize("module", [Seeing, BesideOthers, SmallCNN])
def test_threads_get_the_answers_of_one(module):
    inputs = IMAGES if module is SmallCNN else X
    expected = fitted(module, inputs).predict_proba(inputs)
    net = fitted(module, inputs)  # its first prediction, in train mode so far
    start, answers = threading.Barrier(8), [None] * 8

    def ask(i):
        start.wait()
        answers[i] = [net.predict_proba(inputs[k:]) for k in (0, i)]

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for i, (whole, part) in enumerate(answers):
        assert np.array_equal(whole, expected)
        if module is not BesideOthers:
            np.testing.assert_allclose(part, expected[i:], rtol=0, atol=1e-6)


# What is checked --------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_that_are_no_numbers(value, dtype):
    inputs = X.astype(dtype)
    net = fitted(Seeing, inputs)
    inputs[3, 4] = value
    with pytest.raises(ValueError, match="contains"):
        net.predict(inputs)
