"""`fit_loop`, as users of skorch call it."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from skkd import DistilledClassifier
from skkd.losses import KD
from skkd.students import MLP
from skkd.teachers import as_teacher

X, Y = load_iris(return_X_y=True)
X = X.astype("float32")
TEACHER = LogisticRegression(max_iter=500).fit(X, Y)


def student(**params):
    defaults = {
        "module": MLP,
        "module__n_classes": 3,
        "module__input_shape": (4,),
        "classes": [0, 1, 2],
        "teacher": TEACHER,
        "random_state": 0,
        "max_epochs": 3,
    }
    return DistilledClassifier(**{**defaults, **params})


def test_fit_loop_trains_as_partial_fit_does():
    one = student(alpha=0.7).initialize()
    other = student(alpha=0.7).initialize().partial_fit(X, Y)
    one.notify("on_train_begin", X=X, y=Y)
    one.fit_loop(X, Y)
    one.notify("on_train_end", X=X, y=Y)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert one.cache_info_.hits + one.cache_info_.misses == 150


def test_fit_loop_hears_the_teacher():
    seen = []

    class Spy(KD):
        def __call__(self, student_logits, teacher_logits, y, temperature):
            seen.append(teacher_logits)
            return super().__call__(student_logits, teacher_logits, y, temperature)

    net = student(alpha=1.0, distillation=Spy(), batch_size=50).initialize()
    net.fit_loop(X, Y, epochs=2)
    assert len(seen) == 2 * 3
    expected = as_teacher(TEACHER).logits(X, classes=[0, 1, 2])
    got = torch.cat(seen[:3]).numpy()
    np.testing.assert_allclose(np.sort(got, axis=0), np.sort(expected, 0), rtol=1e-4)
    assert len(net.history) == 2


def test_fit_loop_refuses_what_fit_refuses():
    net = student(temperature=-1).initialize()
    with pytest.raises(ValueError, match="temperature=-1"):
        net.fit_loop(X, Y)
