"""A row's logits do not depend on the rows beside it, nor a fit on what is cached."""

import numpy as np
import pytest
import torch
from counted_teachers import student
from skorch import NeuralNetClassifier
from torch import nn

from skkd.losses import FitNet
from skkd.memory import clear_cache
from skkd.teachers import as_teacher
from skkd.teachers._whole_batches import fast_batch_size, in_whole_batches

# Random teachers are no good ones.
pytestmark = pytest.mark.filterwarnings("ignore::skkd.exceptions.TeacherWarning")

N = 78
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (N, 3, 12, 12), dtype=np.uint8).astype(np.float32)
TABLE = RNG.normal(size=(N, 30)).astype(np.float32)
y = np.arange(N) % 3


@pytest.fixture(autouse=True)
def _empty():
    clear_cache()
    torch.manual_seed(0)


def drawn(network):
    # Not as nn.Linear does it, by which a teacher is found to be untrained.
    nn.init.normal_(network[-1].weight)
    return network


def small_student(X):
    if X.ndim == 2:
        return nn.Linear(30, 3)
    return nn.Sequential(nn.Conv2d(3, 3, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def cnn():
    body = nn.Conv2d(3, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    return drawn(nn.Sequential(*body, nn.Linear(64, 3)))


def mlp():
    return drawn(nn.Sequential(nn.Linear(30, 100), nn.Tanh(), nn.Linear(100, 3)))


def skorch_net():
    net = NeuralNetClassifier(mlp, criterion=nn.CrossEntropyLoss, batch_size=24)
    return net.initialize()


TEACHERS = {
    "images": (cnn, IMAGES),
    "table": (mlp, TABLE),
    "skorch": (skorch_net, TABLE),
    "ensemble": (lambda: [mlp(), skorch_net()], TABLE),
    "transform": (lambda: as_teacher(cnn(), transform=lambda x: x / 255), IMAGES),
}


def weights_of(net):
    return [w.detach().numpy().copy() for w in net.module_.parameters()]


@pytest.mark.parametrize("kind", TEACHERS)
def test_a_fit_is_repeated_bit_for_bit_whatever_is_cached(kind):
    make, X = TEACHERS[kind]
    net = student(make(), module=small_student(X), batch_size=16, max_epochs=2)
    first = weights_of(net.fit(X, y))
    again = []
    for part in (slice(0, 4), slice(5, 40, 4), slice(N, 20, -1), slice(0, N)):
        clear_cache()
        net.fit(X[part], y[part])
        again.append(weights_of(net.fit(X, y)))
    again.append(weights_of(net.set_params(memory=False).fit(X, y)))
    for weights in again:
        for one, other in zip(first, weights, strict=True):
            np.testing.assert_array_equal(one, other)


def test_features_do_not_depend_on_what_is_cached():
    loss = FitNet(student_layer="2", teacher_layer="3", cache=True)
    net = student(cnn(), module=small_student(IMAGES), distillation=loss, batch_size=16)
    first = weights_of(net.fit(IMAGES, y))
    clear_cache()
    net.fit(IMAGES[3:50], y[3:50])
    for one, other in zip(first, weights_of(net.fit(IMAGES, y)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 24])
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor, list, dict])
def test_every_batch_is_whole(n, kind):
    sizes = []

    def compute(X):
        rows = np.asarray(X["x"] if isinstance(X, dict) else X)
        sizes.append(len(rows))
        return rows * 2

    rows = np.arange(n)
    X = {"x": rows} if kind is dict else kind(rows)
    np.testing.assert_array_equal(in_whole_batches(compute, X, 8), rows * 2)
    assert {size % 8 for size in sizes} == {0}
    assert sum(sizes) < n + 8


def test_a_few_rows_do_not_become_a_large_batch():
    sizes = []
    in_whole_batches(lambda X: sizes.append(len(X)) or X, TABLE, 5000)
    assert sizes == [N]


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((20_000, 1, 28, 28), 64),
        ((9, 3, 32, 32), 64),
        ((9, 3, 224, 224), 8),
        ((9, 30), 128),
        ((9,), 128),
    ],
)
def test_sizes_are_powers_of_two_and_suit_the_cache(shape, size):
    assert fast_batch_size(np.empty(shape, dtype=np.uint8), "cpu") == size
    assert fast_batch_size(np.empty(shape, dtype=np.uint8), "cuda") == 256


def test_a_live_teacher_computes_no_row_twice():
    asked = []
    teacher = cnn()
    teacher.register_forward_pre_hook(lambda module, inputs: asked.append(inputs[0]))
    module = small_student(IMAGES)
    views = {"augment": torch.clone, "batch_size": 30}
    student(teacher, module=module, **views).fit(IMAGES, y)
    assert [*map(len, asked)][-3:] == [30, 30, 18]
