"""Students and teachers that note which images they see."""

import estimator_helpers
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from torch import nn

from skkd import DistilledClassifier
from skkd.students import MLP

N, C = 36, 3
SHAPE = (2, 5, 6)


def distil(**params):
    params = {"module": MLP, "module__hidden": (5,), "batch_size": 10, **params}
    return estimator_helpers.distil(**params)


def recording(module=None, **params):
    """Make a student whose module notes the images it is trained on."""
    params = {"max_epochs": 2, "random_state": 0, "device": "cpu", **params}
    params = {"module__seen": [], "batch_size": 10, **params}
    return DistilledClassifier(module or Recording, **params)


def logits_of(images):
    """Logits that differ wherever a pixel does."""
    flat = np.asarray(images, np.float64).reshape(len(images), -1)
    weights = np.random.RandomState(5).randn(flat.shape[1], C)
    return (flat @ weights).astype(np.float32)


class Oracle(ClassifierMixin, BaseEstimator):
    """Keeps all images that it is asked about."""

    def __init__(self, log=None):
        self.log = log

    def __call__(self, images):
        if self.log is not None:
            self.log.append(np.array(images))
        return logits_of(images)


# Rows that `Asked` was asked about: an attribute would be a part of its content.
ASKED = []


class Asked:
    """A teacher whose content can be told."""

    def __call__(self, images):
        ASKED.append(len(images))
        return logits_of(images)


class Recording(nn.Module):
    """Notes every training image."""

    def __init__(self, n_classes, seen):
        super().__init__()
        self.seen = seen
        self.head = nn.Linear(int(np.prod(SHAPE)), n_classes)

    def forward(self, x):
        if self.training:
            self.seen.append(x.detach().clone())
        return self.head(x.to(self.head.weight.dtype).flatten(1))


class Flat(BaseEstimator, ClassifierMixin):
    """A classifier of images from scikit-learn."""

    def fit(self, X, y):
        self.model_ = LogisticRegression().fit(X.reshape(len(X), -1), y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(X.reshape(len(X), -1))


class Hearing:
    """A distillation loss that keeps the logits it is given."""

    def __init__(self):
        self.heard = []

    def __call__(self, student, teacher, y, temperature):
        self.heard.append(teacher.clone())
        return ((student - teacher) ** 2).sum(dim=1)
