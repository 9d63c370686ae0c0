"""A teacher of larger images, and the transform that makes them."""

import random

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits, load_iris
from torch import nn
from torchvision.transforms import v2

from skkd import DistilledClassifier

digits, y = load_digits(return_X_y=True)
digits, y = digits[:200].astype(np.uint8) * 15, y[:200]
IMAGES = digits.reshape(-1, 1, 8, 8)
CLASSES = np.arange(10)
LOG = []  # of what teachers were asked about
IRIS, SPECIES = load_iris(return_X_y=True)


def to_teacher(size=12):
    """Return the usual: larger, floats, normalised."""
    scaled = v2.ToDtype(torch.float32, scale=True)
    return v2.Compose([v2.Resize(size), scaled, v2.Normalize([0.3], [0.25])])


def halved(rows):
    return rows / 2


class Seen(nn.Module):
    """A network of images of 12 x 12 that writes down, outside, what it was given."""

    def __init__(self, n_in=144, n_out=10):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.linear = nn.Linear(n_in, n_out)
            self.normed = nn.BatchNorm1d(n_out)

    def forward(self, x):
        LOG.append((tuple(x.shape), x.dtype, self.training))
        return self.normed(self.linear(x.flatten(1)))


def by_hand(teacher, images=IMAGES, transform=None):
    """Return what `teacher` says of all images, transformed at once."""
    x = (transform or to_teacher())(torch.from_numpy(np.array(images)))
    with torch.no_grad():
        return (
            nn.functional.batch_norm(
                teacher.linear(x.flatten(1)),
                teacher.normed.running_mean,
                teacher.normed.running_var,
                teacher.normed.weight,
                teacher.normed.bias,
            )
        ).numpy()


def student(teacher=None, **params):
    params = {"max_epochs": 1, "random_state": 0, "device": "cpu", **params}
    if "module" not in params:
        params["module"] = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()
    return DistilledClassifier(teacher=teacher, **params)


def small_student(teacher=None, **params):
    return student(teacher, module=Small, **params)


class Small(nn.Module):
    def __init__(self, n_classes, input_shape):
        super().__init__()
        self.linear = nn.Linear(int(np.prod(input_shape)), n_classes)

    def forward(self, x):
        return self.linear(x.float().flatten(1))


def taught(teacher, X=IMAGES, y=y, **params):
    """Return the teacher's logits as the loss sees them: (n, n_classes)."""
    seen = []

    def spy(student_logits, teacher_logits, y, temperature):
        seen.append(teacher_logits.numpy().copy())
        return student_logits.sum(dim=1)

    params = {"batch_size": -1, "iterator_train__shuffle": False, **params}
    est = small_student(teacher, distillation=spy, **params).fit(X, y)
    (logits,) = seen
    return logits, est


def state_of(module):
    tensors = {k: v.numpy().tobytes() for k, v in module.state_dict().items()}
    grads = [(p.requires_grad, p.grad) for p in module.parameters()]
    return tensors, [part.training for part in module.modules()], grads


def rng_state():
    kind, keys, *rest = np.random.get_state()
    return random.getstate(), kind, keys.tolist(), rest, torch.get_rng_state().tolist()


class Pixels(BaseEstimator):
    """A classifier that wants arrays, and says which it got."""

    classes_ = CLASSES

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        LOG.append((type(X), X.dtype, X.shape[1:]))
        p = np.exp(X.reshape(len(X), -1)[:, 60:70])
        return p / p.sum(axis=1, keepdims=True)

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier"
        return tags


class Shift(BaseEstimator):
    """A transform with a parameter to search."""

    def __init__(self, by=0.0):
        self.by = by

    def __call__(self, rows):
        return rows + self.by
