"""Members of a stack with optimizer settings and schedules of their own."""

import pytest
import torch
from numpy.testing import assert_allclose
from packed_cases import LOGITS, TWO, X, check_equals_single_fits, folds, student
from skorch.callbacks import Callback, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, StepLR

from skkd._packed.fits import PackedFits
from skkd.callbacks import Anneal, Schedule, WarmUp
from skkd.losses import DKD


@pytest.mark.parametrize(
    ("optimizer", "atol"),
    [(torch.optim.SGD, 1e-5), (torch.optim.Adam, 1e-4), (torch.optim.AdamW, 1e-4)],
)
def test_optimizers(optimizer, atol):
    estimator = student(optimizer=optimizer, optimizer__weight_decay=0.01)
    check_equals_single_fits(estimator, TWO, folds(teacher_logits=LOGITS), atol)


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        (
            torch.optim.SGD,
            {
                "momentum": [0.0, 0.9],
                "weight_decay": [0.0, 0.01],
                "maximize": [False, True],
            },
        ),
        (torch.optim.Adam, {"betas": [(0.9, 0.99), (0.5, 0.9)], "eps": [1e-8, 1e-4]}),
        (torch.optim.AdamW, {"weight_decay": [0.0, 0.3], "amsgrad": [False, True]}),
        (torch.optim.RMSprop, {"alpha": [0.9, 0.99]}),
        (torch.optim.Adagrad, {"initial_accumulator_value": [0.0, 0.1]}),
    ],
)
def test_settings_of_the_optimizer(optimizer, settings):
    """Members with equal ones are not neighbours, and there are three of each."""
    candidates = [
        {"lr": lr, **TWO[1], **{f"optimizer__{k}": v[i] for k, v in settings.items()}}
        for i, lr in [(0, 0.01), (1, 0.02), (0, 0.02)]
    ]
    estimator = student(optimizer=optimizer)
    data = folds(teacher_logits=LOGITS)[1:]
    # Adagrad divides the first gradients by themselves, whatever their rounding.
    atol = 1e-3 if optimizer is torch.optim.Adagrad else 1e-4
    check_equals_single_fits(estimator, candidates, data, atol)


def test_groups_of_parameters():
    first = [("*0.weight", {"lr": 0.1}), ("*.bias", {"weight_decay": 0.5})]
    candidates = [{"optimizer__param_groups": groups} for groups in (first, first[1:])]
    estimator = student(optimizer=torch.optim.AdamW, module__hidden=(8, 6), alpha=0.0)
    check_equals_single_fits(estimator, candidates, folds(), 1e-4)


def test_frozen_parameters():
    class Frozen(nn.Sequential):
        def __init__(self, n_classes, input_shape):
            super().__init__(nn.Linear(*input_shape, 6), nn.Linear(6, n_classes))
            self[0].weight.requires_grad_(False)

    candidates = [{"lr": 0.01}, {"lr": 0.03, "optimizer__weight_decay": 0.1}]
    check_equals_single_fits(
        student(module=Frozen, alpha=0.0), candidates, folds(), 1e-4
    )


def halves(epoch, max_epochs):
    return 8 / 2**epoch


@pytest.mark.parametrize(
    ("schedule", "column"),
    [
        (Schedule("temperature", halves), "temperature"),
        (Anneal("temperature", 4, 1), "temperature"),
        (WarmUp("alpha", 3), "alpha"),
        (Anneal("distillation__beta", 8, 2), "distillation__beta"),
        (LRScheduler(StepLR, step_size=1, gamma=0.5), "event_lr"),
        (LRScheduler(CosineAnnealingLR, T_max=3), "event_lr"),
        (LRScheduler(OneCycleLR, max_lr=0.1, total_steps=9), "event_lr"),
        (LRScheduler("WarmRestartLR", min_lr=0.001, max_lr=0.02), "event_lr"),
    ],
    ids=[*"TTABSCOW"],
)
def test_schedules(schedule, column):
    estimator = student(
        distillation=DKD(), alpha=0.8, callbacks=[("s", schedule)], max_epochs=4
    )
    candidates = [{"lr": 0.01}, {"lr": 0.02, "temperature": 3.0}]
    data = folds(teacher_logits=LOGITS)
    check_equals_single_fits(estimator, candidates, data, 1e-4, columns=[column])


def test_schedules_in_a_grid():
    estimator = student(
        alpha=0.8,
        callbacks=[
            ("warm", WarmUp("alpha", 2)),
            ("lr", LRScheduler(StepLR, step_size=2)),
        ],
    )
    candidates = [
        {},
        {"callbacks__warm__n_epochs": 3},
        {"callbacks__lr__step_size": 1},
        {"callbacks__lr": None},
        {"callbacks": None},
    ]
    data = folds(teacher_logits=LOGITS)
    check_equals_single_fits(estimator, candidates, data, 1e-4)


def test_what_a_schedule_refuses_is_refused_as_by_a_fit():
    estimator = student(callbacks=[("s", Anneal("temperature", 1, -2))])
    data = folds(teacher_logits=LOGITS)[0]
    fits = PackedFits(estimator, [{}], [data], None)
    with pytest.raises(ValueError, match=r"epoch 1: temperature=-0\.5"):
        fits.fit(0, estimator, data.X, data.y, data.fit_params)


class Own(Anneal):
    def on_epoch_begin(self, net, *args, **kwargs):
        assert net.module_.training


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"callbacks": [("x", Callback())]}, "callbacks"),
        ({"callbacks": [("x", Own("temperature", 4, 1))]}, "callbacks"),
        ({"callbacks__valid_acc__on_train": True}, "callbacks__valid_acc__on_train"),
        (
            {"callbacks": [LRScheduler(OneCycleLR, step_every="batch")]},
            "an LRScheduler by batch",
        ),
        (
            {"callbacks": [("lr", LRScheduler("ReduceLROnPlateau"))]},
            "an LRScheduler of policy ReduceLROnPlateau",
        ),
    ],
)
def test_other_callbacks_are_left_to_a_fit_by_itself(params, reason):
    fits = PackedFits(student(**params), [{}], folds()[:2], None)
    assert fits.fitted == {}
    assert fits.packing.n_alone == {reason: 2}


def test_trained_members_go_on_as_single_fits_would():
    data = folds(teacher_logits=LOGITS)[0]
    candidates = [{"lr": lr, **TWO[1]} for lr in (0.01, 0.01, 0.02)]
    estimator = student(callbacks=[("lr", LRScheduler(StepLR, step_size=2))])
    packed = PackedFits(estimator, candidates, [data], None).fitted
    for (c, _), net in packed.items():
        single = student(**candidates[c], callbacks=estimator.callbacks)
        single.fit(data.X, data.y, **data.fit_params)
        for one in (net, single):
            one.partial_fit(data.X, data.y, **data.fit_params)
        assert len(net.history) == 6
        assert net.history[:, "event_lr"] == single.history[:, "event_lr"]
        assert_allclose(net.predict_proba(X), single.predict_proba(X), atol=1e-4)
