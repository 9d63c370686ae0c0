"""Values of an estimator's parameters, checked before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch.utils.data import DataLoader

from skkd._fit.callback_checks import check_callbacks
from skkd._fit.objective import check_hyperparameters
from skkd._fit.param_names import check_arguments
from skkd._fit.views import check_augment
from skkd._utils.checks import check_number, is_number
from skkd._utils.not_stored import NotStored
from skkd.losses import FeatureLoss
from skkd.losses._registry import flatten, loss_of, need_of
from skkd.memory._logits import as_memory

_CHOICES = {
    "precision": (
        ("fp32", "bf16", "auto"),
        "'fp32', 'bf16' or 'auto' (bf16 if the hardware multiplies in it)",
    ),
    "on_interrupt": (("raise", "keep"), "'raise' or 'keep'"),
}
# What is called to build a part, and an example of what may be passed.
_BUILDERS = {
    "module": "skkd.students.MLP, a module, or None",
    "criterion": "torch.nn.CrossEntropyLoss",
    "optimizer": "torch.optim.Adam",
    "iterator_train": "torch.utils.data.DataLoader",
    "iterator_valid": "torch.utils.data.DataLoader",
    "dataset": "skorch.dataset.Dataset",
}


def check_parameters(net: Any, teacher_logits: Any, teacher_X: Any) -> Any:
    """Raise if a parameter makes no sense; return the loss of the teacher's term."""
    _check_stored(net)
    check_hyperparameters(net.temperature, net.alpha)
    _check_training(net)
    _check_options(net)
    cv, view = net.teacher_cv, net.teacher_view
    if not (net.augment is None and net.n_views is None and view == "same"):
        check_augment(net.augment, net.n_views, view, cv, teacher_logits, teacher_X)
    if net.memory is not None:
        as_memory(net.memory)
    if net._params_to_validate:
        check_arguments(net, net._params_to_validate, later=True)
    return _check_loss(net, teacher_logits)


def _check_stored(net: Any) -> None:
    """Raise if a net was loaded from a file that lacks some of its parameters.

    They do not matter to predictions, and they do to training.
    """
    lacking = {
        name: value
        for name, value in vars(net).items()
        if isinstance(value, NotStored) and name[-1] != "_"
    }
    if lacking:
        told = ", ".join(f"{k} ({v.description})" for k, v in lacking.items())
        remedy = ", ".join(f"{name}=..." for name in lacking)
        raise ValueError(
            "This student was loaded from a file, which describes and does not hold: "
            f"{told}. To train it again, set them first: student.set_params({remedy})."
        )


def _check_options(net: Any) -> None:
    """Raise ValueError if one of the smaller parameters of a net makes no sense."""
    for name, (choices, expected) in _CHOICES.items():
        value = getattr(net, name)
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"{name}={value!r}: expected {expected}.")
    for name in ("strict", "warm_start"):
        value = getattr(net, name)
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name}={value!r}: expected True or False.")
    if not isinstance(net.verbose, Integral | np.bool_):
        raise ValueError(
            f"verbose={net.verbose!r}: expected an int, 1 to print a line for each "
            "epoch, 0 for none."
        )
    nonlinearity = net.predict_nonlinearity
    is_auto = isinstance(nonlinearity, str) and nonlinearity == "auto"
    if not (nonlinearity is None or is_auto or callable(nonlinearity)):
        raise ValueError(
            f"predict_nonlinearity={nonlinearity!r}: expected 'auto', None or a "
            "function of the student's outputs."
        )
    _check_random_state(net.random_state)
    _check_device(net.device)
    _check_class_weight(net.class_weight)
    _check_cv(net.teacher_cv)
    if net.teacher_calibration is not None:
        _check_calibration(net)


def _check_random_state(random_state: Any) -> None:
    try:
        check_random_state(random_state)
    except ValueError as error:
        raise ValueError(
            f"random_state={random_state!r}: expected None, an int from 0 to 2**32 - 1 "
            "or a numpy.random.RandomState."
        ) from error


def _check_device(device: Any) -> None:
    if device is None:  # accelerate's
        return
    try:
        torch.empty(0, device=device)
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        text = str(error).partition("\n")[0]
        raise ValueError(
            f"device={device!r}: expected 'auto', 'cpu', or an accelerator of this "
            f"machine, such as 'cuda' or 'mps'. torch says: {text}"
        ) from error


def _check_class_weight(class_weight: Any) -> None:
    if class_weight is None:
        return
    if isinstance(class_weight, Mapping):
        bad = {
            label: weight
            for label, weight in class_weight.items()
            if not is_number(weight) or weight < 0
        }
        if bad:
            raise ValueError(
                f"class_weight={bad!r}: expected finite weights of at least 0."
            )
    elif not (isinstance(class_weight, str) and class_weight == "balanced"):
        raise ValueError(
            f"class_weight={class_weight!r}: expected None, 'balanced' or a dict of "
            "labels to weights, such as {'cat': 1, 'dog': 2}."
        )


def _check_calibration(net: Any) -> None:
    if net.teacher_calibration != "temperature":
        raise ValueError(
            f"teacher_calibration={net.teacher_calibration!r}: expected None or "
            "'temperature'."
        )
    if net.teacher is not None and not has_folds(net.teacher_cv):
        raise ValueError(
            "teacher_calibration='temperature' compares the teacher with labels of "
            f"rows that it did not see, and teacher_cv={net.teacher_cv!r} has none "
            "that are known to be such: pass teacher_cv=5, or leave it out. A fitted "
            "teacher is calibrated before, by CalibratedClassifierCV("
            "FrozenEstimator(teacher), method='temperature') on other rows."
        )


def has_folds(teacher_cv: Any) -> bool:
    """Tell whether clones label the samples that they were not fitted on."""
    return teacher_cv is not None and not isinstance(teacher_cv, str)


def _check_cv(cv: Any) -> None:
    if isinstance(cv, str) and cv == "prefit":
        return
    is_splits = hasattr(cv, "split") or hasattr(cv, "__iter__")
    if isinstance(cv, str) or not (cv is None or is_splits or is_number(cv, Integral)):
        raise ValueError(
            f"teacher_cv={cv!r}: expected 'prefit', None, an int, a cross-validation "
            "splitter or an iterable of splits."
        )
    if is_number(cv) and cv < 2:
        raise ValueError(
            f"teacher_cv={cv!r}: expected at least 2 folds, or None to fit the teacher "
            "on all rows."
        )


def _check_training(net: Any) -> None:
    check_number("max_epochs", net.max_epochs, Integral, low=0)
    if net.iterator_train is DataLoader and net.batch_size != -1:
        hint = "-1 takes all samples as one batch."
        check_number("batch_size", net.batch_size, Integral, low=1, hint=hint)
    lr = net.lr  # one number for all, or as many as torch takes
    if not isinstance(lr, (torch.Tensor, np.ndarray)) or math.prod(lr.shape) == 1:
        check_number("lr", getattr(lr, "item", lambda: lr)(), Real, low=0)
    for name, example in _BUILDERS.items():
        part = getattr(net, name)
        is_other = name == "optimizer" and isinstance(part, type)
        is_other = is_other and not issubclass(part, torch.optim.Optimizer)
        if is_other or not (callable(part) or (part is None and name == "module")):
            shown = getattr(part, "__name__", f"{part!r:.80}")
            raise TypeError(f"{name}={shown}: expected a class, such as {example}.")
    if net.train_split and not callable(net.train_split):
        given, expected = repr(net.train_split), _splitter_for(net.train_split)
        raise ValueError(
            f"train_split={given:.80}: {expected}, or None to train on all samples."
        )
    if net.callbacks:
        check_callbacks(net)


def _splitter_for(given: Any) -> str:
    if is_number(given) and (0 < given < 1 or given in range(2, 1000)):
        return f"expected a splitter, skorch.dataset.ValidSplit({given})"
    if hasattr(given, "split") and not isinstance(given, str):
        return "expected skorch's splitter around it, skorch.dataset.ValidSplit(cv)"
    return (
        "expected skorch.dataset.ValidSplit(0.2), or for data of your own "
        "skorch.helper.predefined_split(Dataset(X_valid, y_valid))"
    )


def _check_loss(net: Any, teacher_logits: Any) -> Any:
    loss = loss_of(net)
    parts = [part for _, part in flatten(loss)]
    kinds = {need_of(part) for part in parts}
    if "features" in kinds and not any(isinstance(p, FeatureLoss) for p in parts):
        raise ValueError(
            f"distillation={net.distillation!r} has needs='features' and is no "
            "FeatureLoss, which names the layers: derive it from "
            "skkd.losses.FeatureLoss, or leave needs at 'logits'."
        )
    alone = net.teacher is None and teacher_logits is None
    if alone and net.alpha > 0 and "nothing" in kinds and len(kinds) > 1:
        raise ValueError(
            f"distillation={net.distillation!r} adds losses that need a teacher "
            "to one that needs none, and teacher=None: pass a teacher, or the "
            "latter alone."
        )
    return loss
