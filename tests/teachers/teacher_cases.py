"""Teachers of every kind, and the logits that they should give."""

import copy
import pickle
import random

import numpy as np
import torch
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from skkd import DistilledClassifier

X, y = load_iris(return_X_y=True)
X[142, 0] += 0.05  # it equals row 101, and equal rows are asked about once
X32 = X.astype(np.float32)
two = y < 2
EPS32, EPS64 = np.finfo(np.float32).eps, np.finfo(np.float64).eps


def network(n_out=3, seed=0):
    """Return a module as people leave them: in train mode, parts of it frozen."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, n_out)
        )
        module(torch.randn(64, 4))  # BatchNorm has seen something
    module[0].weight.requires_grad_(False)
    module[2].eval()
    return module


def by_hand(module, rows=X32):
    """Return the outputs of a copy in eval mode: (n, n_outputs)."""
    twin = copy.deepcopy(module).eval().float()
    with torch.no_grad():
        return twin(torch.as_tensor(np.asarray(rows, dtype=np.float32))).numpy()


def skorch_net(module, criterion=nn.CrossEntropyLoss, cls=NeuralNetClassifier):
    """Return a fitted skorch net around `module`."""
    net = cls(
        module, criterion=criterion, max_epochs=1, verbose=0, train_split=None, lr=0.01
    )
    with torch.random.fork_rng():
        if cls is NeuralNetBinaryClassifier:
            return net.fit(X32[two], y[two].astype(np.float32))
        return net.fit(X32, y)


class Saturated(nn.Module):
    """Probabilities of exactly 0 and 1, as a saturated softmax gives."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Linear(4, 3)

    def forward(self, x):
        return torch.softmax(1e4 * self.unused(x), dim=1)


class Flat(nn.Module):
    """One logit a row, without an axis for it."""

    def __init__(self):
        super().__init__()
        self.body = network(1)

    def forward(self, x):
        return self.body(x).squeeze(1)


class Wrapped(nn.Module):
    """Gives its logits the way that `how` says."""

    def __init__(self, how):
        super().__init__()
        self.how, self.linear = how, nn.Linear(4, 3)

    def forward(self, x):
        return self.how(self.linear(x))


class Output:
    def __init__(self, logits):
        self.logits = logits


class Duck:
    """A classifier of another house, with nothing of scikit-learn's but a method."""

    classes_ = np.array([0, 1, 2])

    def predict_proba(self, X):
        return np.tile([0.2, 0.3, 0.5], (len(X), 1))


class OnlyLogProba(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_log_proba(self, X):
        return np.log(np.tile([0.2, 0.3, 0.5], (len(X), 1)))


class Raises(Duck):
    def predict_proba(self, X):
        raise AssertionError("the teacher was asked")


def linear_logits(rows):
    """Return logits by a function without a class of its own."""
    return np.asarray(rows)[:, :3] * [1.0, -2.0, 0.5]


def integer_votes(rows):
    return np.tile([5, 1, 0], (len(rows), 1))


def never_built(**kwargs):
    raise AssertionError("the student was built")


def fitted(estimator, rows=X, labels=y):
    return estimator.fit(rows, labels)


def log_clip(p, eps=EPS64):
    return np.log(np.clip(p, eps, None))


def student(teacher=None, **params):
    """Return the smallest student, quick to train and smaller than every teacher."""
    params = {"max_epochs": 1, "random_state": 0, "device": "cpu", **params}
    if "module" not in params:
        params["module__hidden"] = ()
    return DistilledClassifier(teacher=teacher, **params)


def taught(teacher, X=X, y=y, *, fit_params=None, **params):
    """Return the teacher's logits as the loss sees them: (n, n_classes)."""
    seen = []

    def spy(student_logits, teacher_logits, y, temperature):
        seen.append(teacher_logits.numpy().copy())
        return student_logits.sum(dim=1)

    params = {"batch_size": -1, "iterator_train__shuffle": False, **params}
    est = student(teacher, distillation=spy, **params).fit(X, y, **(fit_params or {}))
    (logits,) = seen
    return logits * np.float32(est.teacher_temperature_)  # scores are divided by it


KINDS = {
    "module": lambda: (t := network(), by_hand(t)),
    "module-float64": lambda: (t := network().double(), by_hand(t)),
    "module-tuple": lambda: (
        t := Wrapped(lambda z: (z, "more")),
        by_hand(t.linear),
    ),
    "module-output": lambda: (t := Wrapped(Output), by_hand(t.linear)),
    "module-half": lambda: (
        t := Wrapped(lambda z: z.bfloat16()),
        torch.tensor(by_hand(t.linear)).bfloat16().float().numpy(),
    ),
    "skorch-logits": lambda: (t := skorch_net(network()), by_hand(t.module_)),
    "skorch-proba": lambda: (
        t := skorch_net(nn.Sequential(network(), nn.Softmax(1)), nn.NLLLoss),
        log_clip(by_hand(t.module_), EPS32),
    ),
    "skorch-zeros": lambda: (
        t := skorch_net(Saturated(), nn.NLLLoss),
        log_clip(by_hand(t.module_), EPS32),
    ),
    "skorch-plain-net": lambda: (
        t := NeuralNet(network(), nn.CrossEntropyLoss, verbose=0).initialize(),
        by_hand(t.module_),
    ),
    "forest": lambda: (
        t := fitted(RandomForestClassifier(5, random_state=0)),
        log_clip(t.predict_proba(X)),
    ),
    "hist-boosting": lambda: (
        t := fitted(HistGradientBoostingClassifier(max_iter=3)),
        log_clip(t.predict_proba(X)),
    ),
    "logistic": lambda: (
        t := fitted(LogisticRegression(max_iter=1000)),
        (z := X @ t.coef_.T + t.intercept_) - logsumexp(z, axis=1, keepdims=True),
    ),
    "naive-bayes": lambda: (t := fitted(GaussianNB()), log_clip(t.predict_proba(X))),
    "svc-ovr": lambda: (t := fitted(SVC()), t.decision_function(X)),
    "svc-calibrated": lambda: (
        t := fitted(CalibratedClassifierCV(SVC(), ensemble=False)),
        log_clip(t.predict_proba(X)),
    ),
    "svc-in-grid": lambda: (
        t := fitted(GridSearchCV(SVC(), {"C": [1]}, cv=2)),
        t.decision_function(X),
    ),
    "pipeline": lambda: (
        t := fitted(make_pipeline(StandardScaler(), GaussianNB())),
        log_clip(t.predict_proba(X)),
    ),
    "pipeline-of-net": lambda: (
        t := make_pipeline(
            FunctionTransformer(np.float32), FrozenEstimator(skorch_net(network()))
        ).fit(X, y),
        log_clip(t.predict_proba(X), EPS32),
    ),
    "only-log-proba": lambda: (
        fitted(OnlyLogProba()),
        np.tile(np.log([0.2, 0.3, 0.5]), (150, 1)),
    ),
    "duck": lambda: (Duck(), np.tile(np.log([0.2, 0.3, 0.5]), (150, 1))),
    "callable": lambda: (linear_logits, X[:, :3] * [1, -2, 0.5]),
    "callable-ints": lambda: (integer_votes, integer_votes(X)),
    "list": lambda: (
        t := [fitted(LogisticRegression(C=0.1, max_iter=1000)), fitted(GaussianNB())],
        np.log((t[0].predict_proba(X) + t[1].predict_proba(X)) / 2),
    ),
    "list-mixed": lambda: (
        t := [network(), fitted(GaussianNB())],
        np.log((softmax(by_hand(t[0])) + t[1].predict_proba(X)) / 2),
    ),
    "distilled": lambda: (t := student().fit(X, y), by_hand_float64(t.module_)),
}


def softmax(z):
    return np.exp(z - logsumexp(z, axis=1, keepdims=True))


def by_hand_float64(module):
    with torch.no_grad():
        return module(torch.as_tensor(X)).numpy()


def state_of(teacher):
    """Return all that could change, in a form that compares by content."""
    if isinstance(teacher, list):
        return [state_of(member) for member in teacher]
    if isinstance(teacher, NeuralNet):
        parts = [state_of(teacher.module_), state_of(teacher.criterion_)]
        return [*parts, len(teacher.history), str(teacher.optimizer_.state_dict())]
    if not isinstance(teacher, nn.Module):
        return pickle.dumps(teacher)
    return {
        "tensors": {k: v.numpy().tobytes() for k, v in teacher.state_dict().items()},
        "modes": {name: m.training for name, m in teacher.named_modules()},
        "grads": {n: (p.requires_grad, p.grad) for n, p in teacher.named_parameters()},
    }


def rng_state():
    kind, keys, *rest = np.random.get_state()
    return random.getstate(), kind, keys.tolist(), rest, torch.get_rng_state().tolist()
