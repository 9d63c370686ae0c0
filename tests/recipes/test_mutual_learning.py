"""Mutual learning: the loss of a cohort, and students like any others."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from oracles import kd, kd_gradient
from recipe_cases import NAMES, X, net, y
from scipy.special import log_softmax, softmax
from skorch.callbacks import Freezer
from skorch.dataset import ValidSplit

from skkd import DistilledClassifier
from skkd._fit.objective import Objective
from skkd.callbacks import Anneal
from skkd.recipes import MutualLearning
from skkd.recipes.mutual_learning import CohortNet

# A student that has trained for an epoch or three is a poor teacher.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(random-head|chance-level|one-sided|permuted-classes)\]:skkd.TeacherWarning"
)


def weights(student):
    return [value.detach().numpy() for value in student.module_.parameters()]


def cohort_of(n, **params):
    """Return the net of a cohort, fitted for an epoch, to ask for its loss."""
    cohort = CohortNet(**net(**params).get_params(deep=False))
    cohort.members_ = [net(random_state=None) for _ in range(n)]
    return cohort


def training_loss(cohort, logits, labels, batch):
    """Return the loss of a batch as it is while the cohort is fitted."""
    cohort._objective_ = Objective(
        cohort.distillation_,
        alpha=cohort.alpha,
        temperature=cohort.temperature,
        gives_probabilities=cohort.expects_probabilities,
    )
    try:
        return cohort.get_loss(tuple(logits), labels, X=batch, training=True)
    finally:
        del cohort._objective_


def cross_entropy(z, labels):
    return -log_softmax(z, axis=1)[np.arange(len(z)), labels]


@pytest.mark.parametrize("n_students", [2, 3])
@pytest.mark.parametrize(("alpha", "T"), [(0.5, 1.0), (0.3, 4.0), (0.0, 2.0), (1.0, 2)])
def test_the_mutual_loss_of_a_batch_and_its_gradient(n_students, alpha, T):
    cohort = cohort_of(n_students, alpha=alpha, temperature=T, max_epochs=1).fit(X, y)
    rng = np.random.default_rng(0)
    z = 3 * rng.standard_normal((n_students, 5, 3))
    labels = np.array([0, 2, 1, 1, 0])
    logits = [torch.tensor(values, requires_grad=True) for values in z]
    batch = torch.zeros(5, 4)
    loss = training_loss(cohort, logits, torch.tensor(labels), batch)
    loss.backward()
    expected = 0.0
    for k in range(n_students):
        others = [j for j in range(n_students) if j != k]
        hard = cross_entropy(z[k], labels).mean()
        soft = np.mean([kd(z[k], z[j], T).mean() for j in others])
        expected += (1 - alpha) * hard + alpha * soft
        slope = (softmax(z[k], axis=1) - np.eye(3)[labels]) / 5
        pulls = np.mean([kd_gradient(z[k], z[j], T) / 5 for j in others], axis=0)
        # Were the others' logits no constants, their losses would add to it.
        gradient = (1 - alpha) * slope + alpha * pulls
        assert_allclose(logits[k].grad.numpy(), gradient, rtol=1e-10, atol=1e-12)
    assert_allclose(loss.item(), expected, rtol=1e-10)
    plain = cohort.get_loss(tuple(logits), torch.tensor(labels), X=batch)
    assert_allclose(plain.item(), cross_entropy(z[0], labels).mean(), rtol=1e-10)


def test_the_mutual_loss_is_half_of_the_published_sum():
    losses = MutualLearning(net(alpha=0.5, temperature=1.0, batch_size=-1)).fit(X, y)
    z = [student.forward(X).numpy() for student in losses.students_]
    assert losses.history_[-1, "train_loss"] > 0
    # After the last step: what the next epoch would begin with.
    cohort = cohort_of(2, alpha=0.5, temperature=1.0, max_epochs=1).fit(X, y)
    logits = map(torch.from_numpy, z)
    found = training_loss(cohort, logits, torch.from_numpy(y), X)
    published = sum(
        (cross_entropy(z[k], y) + kd(z[k], z[1 - k], 1.0)).mean() for k in (0, 1)
    )
    assert_allclose(found.item(), published / 2, rtol=1e-5)


def test_without_the_others_each_student_learns_alone():
    rng = np.random.default_rng(0)  # with noise, of which each learns another part
    noisy = np.where(rng.random(150) < 0.3, rng.integers(0, 3, 150), y)
    apart = MutualLearning(net(alpha=0.0, max_epochs=60)).fit(X, noisy)
    together = MutualLearning(net(alpha=0.9, max_epochs=60)).fit(X, noisy)
    gap = [
        np.abs(np.subtract(*(s.predict_proba(X) for s in recipe.students_))).mean()
        for recipe in (apart, together)
    ]
    assert gap[1] < 0.6 * gap[0]


def test_mutual_learning_with_students_of_several_kinds():
    settings = [{}, {"module__hidden": 32}, {"module": torch.nn.Linear}]
    linear = {"module__in_features": 4, "module__out_features": 3}
    with pytest.raises(TypeError, match="hidden"):
        MutualLearning(net(), [*settings[:2], {**settings[2], **linear}]).fit(X, y)
    net_ = DistilledClassifier(max_epochs=2, random_state=0, device="cpu")
    settings = [{"module__hidden": 8}, {"module__hidden": 32}, settings[2] | linear]
    cohort = MutualLearning(net_, settings).fit(X, y)
    assert [len(weights(one)[0]) for one in cohort.students_] == [8, 32, 3]
    assert cohort.student_ is cohort.students_[0]
    for student in cohort.students_:
        assert student.predict_proba(X).shape == (150, 3)
        assert student.random_state == 0 and student.teacher_ is None


def test_a_student_of_a_cohort_is_a_student_like_others(tmp_path):
    cohort = MutualLearning(net(max_epochs=20)).fit(X, NAMES)
    first, second = cohort.students_
    assert_array_equal(first.predict(X), cohort.predict(X))
    assert second.score(X, NAMES) > 0.8
    again = pickle.loads(pickle.dumps(second))
    assert_array_equal(again.predict_proba(X), second.predict_proba(X))
    taught = net(teacher=first).fit(X, NAMES)
    assert taught.teacher_ is first
    assert first.teacher_findings_ == second.teacher_findings_ == []
    assert len(first.history) == 0
    # It goes on learning by itself.
    first.partial_fit(X, NAMES)
    assert len(first.history) == 20


def test_every_student_of_a_cohort_has_the_attributes_of_a_fit():
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    for student in MutualLearning(net(max_epochs=1)).fit(frame, NAMES).students_:
        assert_array_equal(student.classes_, ["setosa", "versicolor", "virginica"])
        assert_array_equal(student.feature_names_in_, ["a", "b", "c", "d"])
        assert (student.n_features_in_, student.input_shape_) == (4, (4,))
        assert student.cache_info_.misses == student.cache_info_.hits == 0
        alone = net(max_epochs=1).fit(frame, NAMES)
        assert {*vars(student)} >= {k for k in vars(alone) if k.endswith("_")}
        assert not hasattr(student, "members_")


class Grouped(torch.optim.SGD):
    """An optimizer that keeps what it was given: how many numbers at which lr."""

    given = []

    def __init__(self, params, **kwargs):
        super().__init__(params, **kwargs)
        groups = [(group["params"], group["lr"]) for group in self.param_groups]
        self.given.append([(sum(p.numel() for p in ps), lr) for ps, lr in groups])


def test_groups_of_parameters_are_those_of_each_student():
    Grouped.given.clear()
    groups = [("head.*", {"lr": 0.0}), ("students.*", {"lr": 1.0})]
    params = {"optimizer": Grouped, "optimizer__param_groups": groups, "lr": 0.5}
    before = MutualLearning(net(**params, max_epochs=0)).fit(X, y)
    # 8 hidden units: a head of 8 * 3 + 3 numbers, 4 * 8 + 8 before it.
    *alone, together = Grouped.given
    assert alone == [[(27, 0.0), (40, 0.5)]] * 2
    assert together == [(54, 0.0), (80, 0.5)]
    after = MutualLearning(net(**params)).fit(X, y)
    for one, other in zip(before.students_, after.students_, strict=True):
        *inner, weight, bias = zip(weights(one), weights(other), strict=True)
        assert all((left != right).any() for left, right in inner)
        for left, right in (weight, bias):
            assert_array_equal(left, right)


def test_a_freezer_finds_the_parameters_of_each_student():
    freezer = {"callbacks": [Freezer("head.*")]}
    for student in MutualLearning(net(**freezer)).fit(X, y).students_:
        named = student.module_.named_parameters()
        frozen = {name for name, p in named if not p.requires_grad}
        assert frozen == {"head.weight", "head.bias"}


def test_the_epochs_of_a_cohort_are_recorded():
    split = ValidSplit(5, stratified=True)
    params = {"train_split": split, "callbacks": [Anneal("alpha", 0.1, 0.9)]}
    cohort = MutualLearning(net(**params)).fit(X, y)
    assert_allclose(cohort.history_[:, "alpha"], [0.1, 0.5, 0.9])
    assert {"train_loss", "valid_loss", "valid_acc"} <= {*cohort.history_[-1]}


def test_mutual_learning_on_augmented_images():
    from skkd.augment import Compose, Mixup, RandomHorizontalFlip

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)
    labels = np.arange(40) % 2
    student = DistilledClassifier(
        augment=Compose([RandomHorizontalFlip(), Mixup()]),
        module__width=2,
        max_epochs=1,
        random_state=0,
        device="cpu",
    )
    cohort = MutualLearning(student).fit(images, labels)
    assert np.isfinite(cohort.history_[-1, "train_loss"])
    assert cohort.predict(images).shape == (40,)


def test_mutual_learning_with_a_criterion_of_probabilities():
    class Probable(torch.nn.Sequential):
        def __init__(self):
            super().__init__(torch.nn.Linear(4, 3), torch.nn.Softmax(dim=1))

    nll = {"criterion": torch.nn.NLLLoss, "module": Probable}
    common = {"alpha": 0.5, "temperature": 4.0, "random_state": 0, "max_epochs": 1}
    common["device"] = "cpu"
    cohort = CohortNet(**common, **nll)
    cohort.members_ = [DistilledClassifier(**nll, device="cpu") for _ in range(2)]
    cohort.fit(X.astype(np.float32), y)
    rng = np.random.default_rng(0)
    z = rng.standard_normal((2, len(X), 3))
    outputs = torch.from_numpy(softmax(z, axis=2))
    found = training_loss(cohort, outputs, torch.from_numpy(y), X)
    hard = sum(cross_entropy(values, y).mean() for values in z)
    soft = kd(z[0], z[1], 4.0).mean() + kd(z[1], z[0], 4.0).mean()
    assert_allclose(found.item(), (hard + soft) / 2, rtol=1e-6)


class Subclass(DistilledClassifier):
    pass


def test_what_mutual_learning_does_not_take(teacher):
    with pytest.raises(ValueError, match=r"estimator.teacher: in mutual learning"):
        MutualLearning(net(teacher=teacher)).fit(X, y)
    with pytest.raises(ValueError, match="teacher_logits: in mutual learning"):
        MutualLearning(net()).fit(X, y, teacher_logits=teacher.decision_function(X))
    with pytest.raises(ValueError, match="expected two or more"):
        MutualLearning(net(), [{}]).fit(X, y)
    with pytest.raises(ValueError, match="n_students=1: expected an int of at least 2"):
        MutualLearning(net(), 1).fit(X, y)
    with pytest.raises(ValueError, match="sets lr, and they are trained together"):
        MutualLearning(net(), [{}, {"lr": 0.1}]).fit(X, y)
    for loss, needs in (("fitnet", "features"), ("label_smoothing", "nothing")):
        with pytest.raises(ValueError, match=f"needs {needs} of a teacher"):
            MutualLearning(net(distillation=loss)).fit(X, y)
    with pytest.raises(TypeError, match="a Subclass, expected DistilledClassifier its"):
        MutualLearning(Subclass()).fit(X, y)
