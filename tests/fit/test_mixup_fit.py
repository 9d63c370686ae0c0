"""Mixed images and labels in a fit."""

import numpy as np
import pytest
import torch
from estimator_helpers import equal, state
from scipy.special import log_softmax
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import TensorDataset
from view_helpers import ASKED, SHAPE, Asked, C, N, Oracle, logits_of

from skkd import DistilledClassifier
from skkd.augment import Compose, Mixup, RandomErasing, RandomHorizontalFlip


class Linear(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        torch.manual_seed(2)  # inside of a stream of its own
        self.head = nn.Linear(int(np.prod(SHAPE)), n_classes, dtype=torch.float64)
        self.given = []

    def forward(self, x):
        if self.training:
            self.given.append(x.detach().clone())
        return self.head(x.flatten(1))


class Telling(Mixup):
    """Notes what it mixed."""

    log = []

    def mix(self, x, seeds=None):
        made = super().mix(x, seeds)
        Telling.log.append((x, *made))
        return made


@pytest.fixture(autouse=True)
def _nothing_noted():
    Telling.log.clear()


def fit_mixed(X, y, arguments=None, **params):
    params = {"optimizer": torch.optim.SGD, "lr": 0.0, "max_epochs": 1, **params}
    params = {"module": Linear, "batch_size": 10, "augment": Telling(), **params}
    net = DistilledClassifier(random_state=0, device="cpu", **params)
    return net.fit(X.astype(np.float64), y, **(arguments or {}))


def expected_losses(net, X, y, weight, teacher=None, alpha=0.0, wrap=lambda v: v):
    """Return the losses of the batches, from the equation."""
    rows = {x.tobytes(): i for i, x in enumerate(X.astype(np.float64))}
    known = y >= 0
    hard_weight = np.where(known, weight, 0)
    hard_weight = hard_weight / hard_weight.mean()
    soft_weight = weight / weight.mean()
    values = []
    for x, view, partner, share in Telling.log:
        own = np.array([rows[row.tobytes()] for row in x.numpy()])
        other, lam = own[partner.numpy()], share.double().numpy()
        mixed = lam[:, None, None, None] * X[own].astype(np.float64)
        mixed += (1 - lam[:, None, None, None]) * X[other].astype(np.float64)
        np.testing.assert_allclose(view.numpy(), mixed, atol=1e-6)
        with torch.no_grad():
            out = net.module_.head(view.flatten(1)).numpy()
        log_p, n = log_softmax(out, axis=1), np.arange(len(own))
        hard = -(
            lam * hard_weight[own] * log_p[n, y[own]]
            + (1 - lam) * hard_weight[other] * log_p[n, y[other]]
        ).mean()
        soft = 0.0
        if alpha:
            gap = ((out - teacher(view.numpy())) ** 2).sum(axis=1) / 2
            soft = (soft_weight[own] * gap).mean()
        values.append((1 - alpha) * hard + alpha * soft)
    return values


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("unlabelled", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_the_loss_of_mixed_samples_is_the_formula(X, y, weighted, unlabelled, alpha):
    labels = np.where(np.arange(N) % 4 == 0, -1, y) if unlabelled else y
    weight = np.arange(N) + 1.0 if weighted else np.ones(N)
    net = fit_mixed(
        X,
        labels,
        {"sample_weight": weight} if weighted else None,
        teacher=Oracle(),
        unlabeled=-1 if unlabelled else None,
        alpha=alpha,
        distillation="mse",
    )
    expected = expected_losses(net, X, labels, weight, logits_of, alpha)
    got = net.history[-1, "batches", :, "train_loss"]
    assert len(got) == 4
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_mixup_without_a_teacher(X, y):
    net = fit_mixed(X, y, augment=Compose([RandomHorizontalFlip(p=0.0), Telling()]))
    expected = expected_losses(net, X, y, np.ones(N))
    got = net.history[-1, "batches", :, "train_loss"]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_a_class_weight_counts_for_its_share_of_a_mixed_sample(X, y):
    net = fit_mixed(X, y, class_weight={0: 1.0, 1: 2.0, 2: 5.0})
    expected = expected_losses(net, X, y, np.array([1.0, 2.0, 5.0])[y])
    got = net.history[-1, "batches", :, "train_loss"]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_the_gradient_of_mixed_samples_is_that_of_the_formula(X, y):
    net = fit_mixed(X, y, batch_size=-1, lr=1.0)
    ((_, view, partner, share),) = Telling.log
    start = Linear(C).head
    rows = {x.tobytes(): c for x, c in zip(X.astype(np.float64), y, strict=True)}
    ((x, *_),) = Telling.log
    own = torch.tensor([rows[row.tobytes()] for row in x.numpy()])
    target = nn.functional.one_hot(own, C) * share[:, None].double()
    target += nn.functional.one_hot(own[partner], C) * (1 - share[:, None].double())
    nn.functional.cross_entropy(start(view.flatten(1)), target).backward()
    moved = start.weight - start.weight.grad
    torch.testing.assert_close(net.module_.head.weight, moved, rtol=1e-6, atol=1e-6)


def test_the_teacher_sees_the_mixed_image(X, y):
    asked = []
    net = fit_mixed(X, y, teacher=Oracle(asked))
    looked_at, *asked = asked
    np.testing.assert_array_equal(looked_at, X)
    for (_, view, *_), images, given in zip(
        Telling.log, asked, net.module_.given, strict=True
    ):
        np.testing.assert_array_equal(view, images)
        assert torch.equal(view, given)


def test_alpha_0_with_mixup_asks_no_teacher(X, y):
    params = {"lr": 0.1}
    taught = fit_mixed(X, y, teacher=Asked(), alpha=0, **params)
    assert equal(state(taught), state(fit_mixed(X, y, **params)))
    assert ASKED == []


def test_validation_mixes_nothing(X, y):
    net = fit_mixed(X, y, train_split=ValidSplit(3), batch_size=-1)
    _, held = ValidSplit(3)(TensorDataset(torch.zeros(N)), y)
    log_p = np.log(net.predict_proba(X[held.indices].astype(np.float64)))
    expected = -log_p[np.arange(len(log_p)), y[held.indices]].mean()
    assert net.history[-1, "valid_loss"] == pytest.approx(expected, rel=1e-5)
    assert len(Telling.log) == 1


def test_callbacks_see_unmixed_labels(X, y):
    labels = []

    class Spy(Callback):
        def on_batch_end(self, net, batch=None, **kwargs):
            labels.extend(batch[1])

    names = np.array(list("abc"))[y]
    fit_mixed(X, names, callbacks=[Spy()])
    assert sorted(labels) == sorted(names)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"criterion__weight": torch.ones(C, dtype=torch.float64)},
            "mixed rows: give the weights of classes as class_weight",
        ),
        ({"criterion__reduction": "sum"}, "gives one loss for a batch"),
    ],
)
def test_criteria_that_cannot_be_mixed_are_refused(X, y, params, message):
    with pytest.raises(ValueError, match=message):
        fit_mixed(X, y, **params)


def test_mixup_restores_the_reduction_of_the_criterion(X, y):
    net = fit_mixed(X, y)
    assert net.criterion_.reduction == "mean"


def test_mixup_with_probabilities_and_label_smoothing(X, y):
    smooth = fit_mixed(X, y, criterion__label_smoothing=0.1)
    assert smooth.history[-1, "train_loss"] > 0
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(60, C, dtype=torch.float64), nn.Softmax(1)
    )
    assert fit_mixed(X, y, module=module, criterion=nn.NLLLoss)


def test_mixup_of_uint8_images_and_the_default_student(X, y):
    rows = (X * 40 + 128).clip(0, 255).astype(np.uint8)
    net = DistilledClassifier(
        teacher=Asked(),
        augment=Compose([RandomHorizontalFlip(), RandomErasing(2), Mixup(0.4)]),
        max_epochs=1,
        random_state=0,
        device="cpu",
    )
    one, other = state(net.fit(rows, y)), state(net.fit(rows, y))
    assert equal(one, other)
