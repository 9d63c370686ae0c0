"""A fit that is refused leaves the estimator as it was."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from skorch.callbacks import Callback
from torch import nn

from skkd import DistilledClassifier
from skkd.callbacks import Anneal
from skkd.losses import DistillationLoss

X, Y = load_iris(return_X_y=True)
X = X.astype("float32")
TEACHER = LogisticRegression(max_iter=500).fit(X, Y)


def student(**params):
    defaults = {"teacher": TEACHER, "max_epochs": 2, "random_state": 0}
    return DistilledClassifier(**{**defaults, **params})


def network(n_in, n_out):
    """Return a teacher that is larger than its student."""
    return nn.Sequential(nn.Linear(n_in, 500), nn.ReLU(), nn.Linear(500, n_out))


def no_loss_by_sample(student, teacher, y, temperature):
    return student - teacher


# What is wrong, and what is given to `fit` beside X and y.
REFUSED = {
    "a temperature": ({"temperature": 0}, {}),
    "an alpha": ({"alpha": 2}, {}),
    "a memory": ({"memory": 3.5}, {}),
    "a precision": ({"precision": "fp8"}, {}),
    "a view": ({"teacher_view": "other"}, {}),
    "a loss": ({"distillation": "kb"}, {}),
    "the shape of a loss": ({"distillation": no_loss_by_sample}, {}),
    "a parameter of the module": ({"module__width": 3}, {}),
    "a module": ({"module": nn.Linear(5, 3)}, {}),
    "the module's outputs": ({"module": nn.Linear(4, 2)}, {}),
    "an unknown parameter": ({"tempperature": 3}, {}),
    "an unfitted teacher": ({"teacher": LogisticRegression()}, {}),
    "a teacher of other columns": ({"teacher": network(5, 3)}, {}),
    "a teacher of other classes": ({"teacher": network(4, 7)}, {}),
    "what is found of the teacher": (
        {"teacher": lambda X: np.zeros((len(X), 3)), "strict": True},
        {},
    ),
    "folds": ({"teacher_cv": 200}, {}),
    "a batch size": ({"batch_size": "many"}, {}),
    "a batch size of nothing": ({"batch_size": None}, {}),
    "a number of epochs": ({"max_epochs": -1}, {}),
    "a schedule": ({"callbacks": [Anneal("alpha", 0.5, 3.0)]}, {}),
    "teacher_logits": ({}, {"teacher_logits": np.zeros((150, 2))}),
    "infinite teacher_logits": ({}, {"teacher_logits": np.full((150, 3), np.inf)}),
    "teacher_X": ({}, {"teacher_X": X[:10]}),
    "weights": ({}, {"sample_weight": -np.ones(150)}),
    "groups": ({}, {"groups": np.arange(150)}),
}
# What would build the student anew as soon as it is set, or stop it from predicting.
UNBUILT = [
    *("a parameter of the module", "a module", "the module's outputs"),
    *("an unknown parameter", "a batch size", "a batch size of nothing"),
]


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_refused_fit_leaves_a_new_estimator_as_it_was(what, method):
    params, given = REFUSED[what]
    net = student(**params)
    before = dict(vars(net))
    with pytest.raises((ValueError, TypeError, NotFittedError)):
        getattr(net, method)(X, Y, **given)
    assert vars(net) == before
    with pytest.raises(NotFittedError):
        net.predict(X)


@pytest.mark.parametrize("what", [name for name in REFUSED if name not in UNBUILT])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_refused_fit_leaves_a_fitted_estimator_as_it_was(what, method):
    params, given = REFUSED[what]
    net = student().fit(X, Y)
    net.set_params(**params)
    before, epochs = dict(vars(net)), len(net.history)
    answers = net.predict_proba(X)
    with pytest.raises((ValueError, TypeError, NotFittedError)):
        getattr(net, method)(X, Y, **given)
    # The callbacks of a fit are made anew for each.
    assert vars(net) == before
    assert len(net.history) == epochs
    np.testing.assert_array_equal(net.predict_proba(X), answers)


def test_other_labels_leave_a_fitted_student_as_it_was():
    net = student().fit(X, Y)
    answers = net.predict(X)
    with pytest.raises(ValueError, match="does not know the classes"):
        net.fit(X, np.array(["x", "y", "z"])[Y][::-1].copy())
    np.testing.assert_array_equal(net.predict(X), answers)
    assert net.classes_.tolist() == [0, 1, 2]


def test_an_interrupt_of_the_teacher_leaves_a_fitted_student_as_it_was():
    def interrupted(X):
        raise KeyboardInterrupt

    net = student().fit(X, Y)
    answers = net.predict_proba(X)
    net.set_params(teacher=interrupted)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y)
    np.testing.assert_array_equal(net.predict_proba(X), answers)


def test_an_error_in_the_middle_keeps_what_was_trained():
    class Fails(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise RuntimeError("in the middle")

    net = student(callbacks=[Fails()], max_epochs=5)
    with pytest.raises(RuntimeError, match="in the middle"):
        net.fit(X, Y)
    assert len(net.history) == 2
    assert net._objective_ is None
    assert net.predict(X).shape == (150,)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_loop"])
def test_out_of_memory_is_not_blamed_on_X(method):
    class Large(nn.Linear):
        def __init__(self):
            super().__init__(4, 3)

        def forward(self, x):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    net = student(module=Large, classes=[0, 1, 2])
    if method == "fit_loop":
        net.initialize()
    with pytest.raises(torch.OutOfMemoryError):
        getattr(net, method)(X, Y)


def test_classes_that_are_not_sorted_name_no_columns():
    # Columns of a module go by position, and the order that is meant is not known.
    net = student(teacher=network(4, 3), classes=[2, 1, 0])
    with pytest.raises(ValueError, match=r"as_teacher\(model, classes=\[...\]\)"):
        net.fit(X, Y)
    with pytest.raises(ValueError, match=r"classes=\[2, 1, 0\] is not sorted"):
        student(classes=[2, 1, 0]).fit(X, Y, teacher_logits=np.zeros((150, 3)))
    assert student(classes=[2, 1, 0]).fit(X, Y).classes_.tolist() == [0, 1, 2]


def test_what_a_loss_and_an_augmentation_call_their_attributes_means_nothing():
    class Plain:
        """A user's own augmentation, with attributes that have other meanings."""

        check = "a setting"
        mixes_rows = 3

        def __call__(self, x):
            return x * 1.0

    images = np.random.RandomState(0).rand(20, 1, 8, 8).astype("float32")
    net = student(teacher=None, augment=Plain())
    assert net.fit(images, np.arange(20) % 2).predict(images).shape == (20,)


def test_a_loss_on_features_that_names_no_layers_is_refused():
    class Strange(DistillationLoss):
        needs = "features"

        def __call__(self, student_logits, teacher_logits, y, temperature):
            return student_logits.sum(dim=1)

    with pytest.raises(ValueError, match="is no FeatureLoss, which names the layers"):
        student(teacher=network(4, 3), distillation=Strange()).fit(X, Y)
