"""Epochs without a batch, and a last batch of one row."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from skorch.dataset import Dataset
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from skkd import DistilledClassifier

X, Y = load_iris(return_X_y=True)
X = X.astype("float32")
ROWS = np.random.RandomState(0).permutation(150)[:33]
X33, Y33 = X[ROWS], Y[ROWS]


class OwnLoader(DataLoader):
    pass


def student(module=None, **params):
    params = {"max_epochs": 1, "random_state": 0, "batch_size": 16} | params
    module = nn.Linear(4, 3) if module is None else module
    return DistilledClassifier(module, **params)


def normalised():
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))


def sizes(net):
    return [batch["train_batch_size"] for batch in net.history[-1]["batches"]]


DATA = {
    "arrays": (X33, Y33),
    "skorch": (Dataset(X33, Y33), None),
    "torch": (TensorDataset(torch.tensor(X33), torch.tensor(Y33)), None),
}


@pytest.mark.parametrize("kind", DATA)
def test_a_last_row_joins_the_batch_before_it(kind):
    assert sizes(student(normalised()).fit(*DATA[kind])) == [16, 17]


def test_rows_come_in_the_same_order_as_without():
    """And all of them, once in each epoch, whether shuffled or not."""
    seen = []

    class Spying(nn.Module):
        def __init__(self, needs_two):
            super().__init__()
            self.norm = nn.BatchNorm1d(4) if needs_two else nn.Identity()
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            if self.training and len(x) > 1:
                seen.append(x)
            return self.head(self.norm(x))

    for params in ({}, {"iterator_train__shuffle": False}):
        seen.clear()
        student(Spying, module__needs_two=True, **params).partial_fit(X33, Y33)
        merged = torch.cat(seen)
        seen.clear()
        student(Spying, module__needs_two=False, **params).partial_fit(X33, Y33)
        assert torch.equal(merged[:32], torch.cat(seen))
        assert sorted(merged.tolist()) == sorted(X33.tolist())


def test_a_student_that_takes_one_row_gets_it():
    assert sizes(student().fit(X33, Y33)) == [16, 16, 1]
    maps = nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)), nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    net = student(maps).fit(X33, Y33)
    assert sizes(net) == [16, 16, 1]
    assert net.module_[1].num_batches_tracked == 3  # the try left no trace


@pytest.mark.parametrize(
    ("params", "rows", "remedy"),
    [
        ({"iterator_train": OwnLoader}, 33, "pass iterator_train__drop_last=True"),
        ({"batch_size": 1}, 33, "pass batch_size=2 or more"),
        ({}, 1, "fit it on more than one row"),
    ],
)
def test_one_row_before_batch_normalisation(params, rows, remedy):
    net = student(normalised(), classes=[0, 1, 2], **params)
    with pytest.raises(ValueError, match=f"Got a batch of one row.*{remedy}"):
        net.partial_fit(X33[:rows], Y33[:rows])
    net.set_params(iterator_train__drop_last=True, batch_size=16)
    net.fit(X33, Y33)
    assert sizes(net) == [16, 16]


class Empty(torch.utils.data.Sampler):
    def __init__(self):
        pass

    def __iter__(self):
        return iter(())

    def __len__(self):
        return 0


@pytest.mark.parametrize(
    "params",
    [
        {"iterator_train__drop_last": True, "batch_size": 64},
        {"iterator_train__sampler": Empty()},
        {"iterator_train": OwnLoader, "iterator_train__sampler": Empty()},
        {"train_split": lambda data, y, **_: (Subset(data, []), data)},
    ],
    ids=["drop_last", "sampler", "loader", "split"],
)
def test_an_epoch_without_a_batch(params):
    net = student(**params)
    with pytest.raises(ValueError, match="no batch to train on, so that nothing is le"):
        net.fit(X33, Y33)
    assert not net.initialized_
