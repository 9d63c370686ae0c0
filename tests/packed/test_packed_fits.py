"""Students that are trained together equal students that are trained one by one."""

import numpy as np
import pytest
import torch
from packed_cases import (
    LOGITS,
    SPLITS,
    TEACHER,
    TWO,
    X,
    check_equals_single_fits,
    folds,
    student,
    y,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import KFold
from torch import nn

from skkd import DistilledClassifier
from skkd._packed.fits import Fold, PackedFits
from skkd.losses import DKD, KD, LogitMSE, WeightedSum

ASKED = []


class Scaled(nn.Module):
    """No Sequential: its forward is mapped over the members."""

    def __init__(self, n_classes, input_shape):
        super().__init__()
        self.first = nn.Linear(*input_shape, 12)
        self.last = nn.Linear(12, n_classes, bias=False)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x / 16))) * 2


class Counting:
    classes_ = np.arange(10)

    def fit(self, X, y):
        raise AssertionError

    def predict_proba(self, X):
        ASKED.append(len(X))
        return TEACHER.predict_proba(X / 16)


def rank_loss(student_logits, teacher_logits, y, temperature):
    """One number for a batch, which couples its samples."""
    z_s, z_t = student_logits / temperature, teacher_logits / temperature
    return ((z_s - z_s.mean(0)) - (z_t - z_t.mean(0))).square().mean()


@pytest.mark.parametrize("distillation", ["kd", "dkd", "js", "mse", "standardized_kd"])
def test_losses_by_sample(distillation):
    estimator = student(distillation=distillation, optimizer=torch.optim.SGD)
    check_equals_single_fits(estimator, TWO, folds(teacher_logits=LOGITS), 1e-5)


@pytest.mark.parametrize("distillation", ["dist", rank_loss])
def test_losses_by_batch_need_batches_of_one_size(distillation):
    estimator = student(distillation=distillation, optimizer=torch.optim.SGD)
    data = folds(teacher_logits=LOGITS)
    check_equals_single_fits(estimator, TWO, data[1:], 1e-5, n_groups=2)
    packing = PackedFits(estimator, TWO[1:], data, None).packing
    assert packing == (2, 1, {"no other is like it": 1}, 0)


def test_weights_of_samples_and_classes():
    weight = np.random.default_rng(0).uniform(0, 3, len(y))
    candidates = [{**TWO[1], "class_weight": w} for w in ({3: 5.0}, "balanced")]
    data = folds(teacher_logits=LOGITS, sample_weight=weight)
    check_equals_single_fits(student(), candidates, data, 1e-4)


def test_unlabelled_samples():
    some = np.where(np.random.default_rng(0).random(len(y)) < 0.5, -1, y)
    estimator = student(unlabeled=-1, classes=[*range(10)])
    data = folds(some, teacher_logits=LOGITS)
    check_equals_single_fits(estimator, [TWO[1], {"alpha": 0.3}], data, 1e-4)


def test_prefit_teachers_seeds_and_float64():
    teacher = LogisticRegression(max_iter=5000).fit(X, y)
    data = [Fold(X[train].astype(float), y[train], {}) for train, _ in SPLITS]
    candidates = [{"random_state": 1, "alpha": 0.9}, {"random_state": 2}]
    check_equals_single_fits(student(teacher=teacher), candidates, data, 1e-6)


def test_scores_of_a_teacher_are_scaled_as_in_a_single_fit():
    teacher = RidgeClassifier().fit(X, y)
    estimator = student(teacher=teacher, optimizer=torch.optim.SGD)
    packed = PackedFits(estimator, TWO, folds(), None)
    assert packed.fitted[1, 0].teacher_temperature_ != 1
    check_equals_single_fits(estimator, TWO, folds(), 1e-5)


def test_other_modules():
    estimator = student(module=Scaled)
    check_equals_single_fits(estimator, TWO, folds(teacher_logits=LOGITS), 1e-4)
    hidden = [{"module__hidden": (16, 8)}, {"module__hidden": (16, 8), "alpha": 0.0}]
    estimator = student(alpha=0.5, module__hidden=4)
    check_equals_single_fits(estimator, hidden, folds(teacher_logits=LOGITS), 1e-4)


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10)),
        lambda n_classes, input_shape: nn.Linear(*input_shape, n_classes),
    ],
)
def test_an_instance_and_a_single_layer(module):
    data = folds(teacher_logits=LOGITS)
    check_equals_single_fits(student(module=module), TWO, data, 1e-4)


def test_a_student_that_nobody_teaches_beside_others():
    teacher = LogisticRegression(max_iter=5000).fit(X[:150], y[:150])
    teachers = [FrozenEstimator(teacher), None]
    candidates = [{"teacher": teacher, "alpha": 0.5} for teacher in teachers]
    data = [Fold(X[train], y[train], {}) for train, _ in SPLITS]
    check_equals_single_fits(student(), candidates, data, 1e-4)


def test_a_network_whose_seed_decides_on_more_than_its_weights_is_found():
    class Shuffled(nn.Linear):
        def __init__(self, n_classes, input_shape):
            super().__init__(*input_shape, n_classes)
            self.order = torch.randperm(*input_shape)

        def forward(self, x):
            return super().forward(x[:, self.order])

    candidates = [{"random_state": i, "alpha": 0.0} for i in range(2)]
    fits = PackedFits(student(module=Shuffled), candidates, folds()[1:], None)
    assert fits.fitted == {}
    assert "the loss of a batch is" in str(fits.packing)


def test_label_smoothing_of_the_criterion_and_losses_with_parameters():
    losses = [
        DKD(beta=2.0),
        DKD(beta=4.0),
        WeightedSum([("a", KD()), ("b", LogitMSE())]),
    ]
    candidates = [{"distillation": loss, "alpha": 0.4} for loss in losses[:2]]
    estimator = student(criterion__label_smoothing=0.1)
    check_equals_single_fits(estimator, candidates, folds(teacher_logits=LOGITS), 1e-4)
    two = WeightedSum([("a", KD()), ("b", LogitMSE())])
    candidates = [{"distillation": two, "alpha": 0.4}, {"alpha": 0.0}]
    data = folds(teacher_logits=LOGITS)
    check_equals_single_fits(student(), candidates, data, 1e-4)


def test_what_differs_makes_groups_of_its_own():
    candidates = [{"batch_size": n, "alpha": a} for n in (30, 60) for a in (0.0, 0.5)]
    data = folds(teacher_logits=LOGITS)
    check_equals_single_fits(student(), candidates, data, 1e-4, n_groups=2)
    fits = PackedFits(student(), TWO, data, max_members=4)
    assert fits.packing == (6, 2, {}, 0)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"callbacks": [("x", object())]}, "callbacks"),
        ({"train_split": KFold(2)}, "train_split"),
        ({"augment": nn.Identity()}, "augment"),
        ({"precision": "bf16"}, "precision='bf16'"),
        ({"optimizer": torch.optim.LBFGS}, "LBFGS"),
        ({"criterion": nn.NLLLoss}, "NLLLoss"),
        ({"distillation": "pkt"}, "a loss on features"),
        ({"iterator_train__sampler": [1]}, "iterator_train__*"),
        ({"warm_start": True}, "warm_start"),
    ],
)
def test_what_cannot_be_stacked_is_left_to_a_fit_by_itself(params, reason):
    fits = PackedFits(student(**params), [{}], folds()[:2], None)
    assert fits.fitted == {}
    assert [*fits.packing.n_alone.values()] == [2]
    assert reason in str(fits.packing)


def test_a_parameter_without_a_gradient_is_left_to_a_fit_by_itself():
    class Dead(Scaled):
        def __init__(self, n_classes, input_shape):
            super().__init__(n_classes, input_shape)
            self.unused = nn.Linear(2, 2)

    fits = PackedFits(student(module=Dead), TWO, folds(teacher_logits=LOGITS), None)
    assert fits.fitted == {}
    assert "unused.weight has no gradient" in str(fits.packing)


def test_arguments_of_the_students_forward_are_left_to_a_fit_by_itself():
    data = [Fold(X, y, {"scale": np.ones(len(X))})]
    fits = PackedFits(student(module=Scaled), TWO, data, None)
    assert str(fits.packing).endswith("(scale= of the student's forward)")


def test_a_subclass_is_trained_by_itself():
    class Mine(DistilledClassifier):
        pass

    fits = PackedFits(Mine(max_epochs=1), [{}], folds()[:2], None)
    assert "a subclass" in str(fits.packing)


@pytest.mark.filterwarnings("ignore:The predictions of the student")
def test_a_network_whose_samples_depend_on_each_other_is_found():
    class Centred(nn.Linear):
        def __init__(self, n_classes, input_shape):
            super().__init__(*input_shape, n_classes)

        def forward(self, x):
            return super().forward(x - x.std())

    data = folds(teacher_logits=LOGITS)[:2]  # the batches of one are filled up
    fits = PackedFits(student(module=Centred, batch_size=71), TWO, data, None)
    assert fits.fitted == {}
    assert "the loss of a batch is" in str(fits.packing)


def test_a_loss_that_cannot_be_mapped_is_trained_by_itself():
    def with_condition(student_logits, teacher_logits, y, temperature):
        loss = (student_logits - teacher_logits).square().mean(1)
        return loss if loss.max() > 0 else 0 * loss

    estimator = student(distillation=with_condition, alpha=0.5)
    fits = PackedFits(estimator, [{}], [folds(teacher_logits=LOGITS)[0]] * 2, None)
    assert fits.fitted == {}
    assert "data-dependent control flow" in str(fits.packing)


def test_the_teacher_is_asked_once_for_all_members():
    estimator = student(teacher=Counting(), memory=None)
    data = [Fold(X[train], y[train], {}) for train, _ in SPLITS]
    PackedFits(estimator, TWO, data, None)
    assert sum(ASKED) == len(X)


def test_a_last_batch_of_one_row_before_batch_normalisation():
    """It is found out by a try on a sample, of which these batches have none."""
    module = nn.Sequential(
        nn.Linear(X.shape[1], 8), nn.BatchNorm1d(8), nn.Linear(8, 10)
    )
    n_train = len(SPLITS[0][0])
    fits = PackedFits(
        student(module=module, batch_size=n_train - 1), [{}], folds()[:1], None
    )
    assert [*fits.packing.n_alone.values()] == [1]
