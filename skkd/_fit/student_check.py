"""The student, looked at on a few samples before it is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from skorch.dataset import get_len
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from skkd._data.batches import TrainingSet, batch_of
from skkd._data.keys import INPUT
from skkd._fit.augment_check import check_augment_scale, is_known
from skkd._fit.loss_check import check_loss_learns
from skkd._fit.plan import FitPlan
from skkd._utils.modules import describe, first_tensor, is_out_of_memory
from skkd._utils.warn import warn
from skkd.exceptions import DistillationWarning
from skkd.students import Standardize

# Last operations of a network after which a logit cannot take every value, by the name
# of their node in the graph, with the values that are left.
_BOUNDED = {
    "SigmoidBackward0": "0 to 1",
    "HardsigmoidBackward0": "0 to 1",
    "TanhBackward0": "-1 to 1",
    "HardtanhBackward0": "an interval",
    "ReluBackward0": "0 and above",
}
# Logits of a fresh network are around 1; a few hundred are those of raw bytes.
_LARGE = 1000
# Operations that change the shape or the dtype, and no value.
_RESHAPES = ("View", "Reshape", "Squeeze", "Unsqueeze", "ToCopy", "Clone", "Alias")


def check_student(
    net: Any, plan: FitPlan, samples: TrainingSet, fit_params: Mapping[str, Any]
) -> None:
    """Raise, before training, if the student does not fit the data; or warn."""
    if not any(p.requires_grad for p in net.module_.parameters()):
        raise no_parameters(net.module_)
    n_classes, size = len(plan.classes), len(samples)
    size = size if net.batch_size == -1 else min(net.batch_size, size)
    given = plan.teacher_logits is not None
    if min(n_classes, size) < 3 and net._teaches_unlabeled(plan.needs, given):
        check_loss_learns(plan.loss, n_classes, size)
    if net.augment is not None and not is_known(net.augment):
        check_augment_scale(net, samples)
    if fit_params:  # who passes them knows what the module expects
        return
    _check_axes(net)
    inputs, _ = batch_of(samples, range(min(2, len(samples))))
    inputs = (
        inputs[INPUT] if isinstance(inputs, Mapping) and INPUT in inputs else inputs
    )
    net._set_training(False)
    outputs = _outputs(net, inputs)
    logits = outputs if isinstance(outputs, Tensor) else first_tensor(outputs)
    _check_shape(net, logits, get_len(inputs))
    _check_dependence(net, inputs, logits)
    _check_rows_alone(net, inputs, logits)
    if plan.fresh:
        _check_size(net, logits)
    _check_last_layer(net, logits)


def no_parameters(module: Any) -> ValueError:
    """Return the error of a student that has nothing to train."""
    return ValueError(
        f"The student {describe(module)} has no parameter to train: expected those of "
        "the last layer at least. Of one that is frozen, set requires_grad=True there: "
        "module.head.requires_grad_()."
    )


def _outputs(net: Any, inputs: Any) -> Any:
    try:
        # With a graph: its end shows the student's last operation.
        with _without_compiling(net), torch.enable_grad():
            return net.infer(inputs)
    except Exception as error:  # whatever a layer raises
        if is_out_of_memory(error):
            raise
        given = f"{net.input_shape_}, {net.input_dtype_}"
        remedy = "Its forward gets a batch of any number of rows."
        if isinstance(inputs, Mapping):
            given = f"the inputs {', '.join(map(str, inputs))}"
            remedy = "The keys of X are the names of the arguments of its forward."
        elif _channels_are_last(net.input_shape_):
            remedy = "The channels seem to come last: pass X.transpose(0, 3, 1, 2)."
        elif any(word in str(error) for word in ("dtype", "scalar type", "Float")):
            remedy = (
                "Standardize from skkd.students as the first layer takes any dtype."
            )
        raise ValueError(
            f"The student {describe(net.module_)} does not take rows of X "
            f"({given}): {error}. {remedy}"
        ) from error


@contextmanager
def _without_compiling(net: Any) -> Iterator[None]:
    """Run the student as it is in this block: to compile it for two samples is slow."""
    module = net.module_
    vars(net)["module_"] = getattr(module, "_orig_mod", module)
    try:
        yield
    finally:
        vars(net)["module_"] = module


def _check_shape(net: Any, logits: Any, n_rows: int) -> None:
    if not isinstance(logits, Tensor):
        raise TypeError(
            f"The student {describe(net.module_)} returns a "
            f"{type(logits).__name__}, expected a tensor of logits, a tuple that "
            "starts with one, or an object that has them as its `logits`."
        )
    shape, n_classes = tuple(logits.shape), len(net.classes_)
    if not logits.is_floating_point():
        raise TypeError(
            f"The student {describe(net.module_)} gives outputs of {logits.dtype}, "
            "expected logits of floating point: leave out an argmax, a round or a "
            "comparison at its end."
        )
    if len(shape) == 2 and shape == (n_rows, n_classes):
        return
    if shape[:1] != (n_rows,):
        raise ValueError(
            f"The student {describe(net.module_)} gives outputs of shape {shape} for "
            f"{n_rows} rows, expected ({n_rows}, {n_classes}): a row of logits for "
            "each. Keep the first axis in its forward."
        )
    remedy = "A module whose __init__ takes n_classes is built with the right number."
    if n_classes == 2 and logits[0].numel() == 1:
        remedy = "Give it two outputs in place of one, and no sigmoid at the end."
    elif len(shape) > 2 and shape[1] == n_classes:
        remedy = "Average over the other axes: logits.flatten(2).mean(2)."
    raise ValueError(
        f"The student {describe(net.module_)} gives outputs of shape "
        f"({', '.join(map(str, ('n', *shape[1:])))}), expected (n, {n_classes}): a "
        f"logit for each class of y. {remedy}"
    )


def _check_dependence(net: Any, inputs: Any, logits: Tensor) -> None:
    """Raise if the outputs are no numbers, or say nothing of the sample."""
    if not torch.isfinite(logits).all():
        raise ValueError(
            f"The student {describe(net.module_)} gives NaN or infinity before "
            "training. Scale X, as Standardize from skkd.students does as the first "
            "layer, or look for a logarithm, a root or a division in its forward."
        )
    if len(logits) < 2 or not isinstance(inputs, Tensor) or not torch.equal(*logits):
        return
    # Zeros, as of a last layer that starts at zero, or the same for all samples?
    if not inputs.is_floating_point() or torch.equal(*inputs):
        return
    traced = inputs.detach().clone().requires_grad_()
    seen = first_tensor(_outputs(net, traced))
    if seen.requires_grad:
        (gradient,) = torch.autograd.grad(seen.sum(), traced, allow_unused=True)
        if gradient is None:
            raise ValueError(
                f"The student {describe(net.module_)} gives the same outputs for all "
                "rows: its forward does not use its input."
            )


def _check_rows_alone(net: Any, inputs: Any, logits: Tensor) -> None:
    """Warn if a prediction depends on the other rows, or on chance."""
    if len(logits) < 2 or net.precision != "fp32":
        return
    alone = _outputs_of_last(net, inputs)
    if alone is not None and _are_close(alone, logits[-1:]):
        return
    reason = "of the other rows of a batch"
    remedy = (
        "look for batch_first=True of a recurrent layer or of attention, for dim=0, "
        "and for BatchNorm with track_running_stats=False"
    )
    if alone is not None and not _are_close(alone, _outputs_of_last(net, inputs)):
        reason = "of chance"
        remedy = "a functional dropout takes training=self.training"
    warn(
        f"The predictions of the student {describe(net.module_)} for a row depend on "
        f"more than the row: {reason}. In its forward {remedy}.",
        DistillationWarning,
    )


def _outputs_of_last(net: Any, inputs: Any) -> Tensor | None:
    """Return the logits of the last row by itself; None if it cannot be taken so."""
    last: Any = None
    if isinstance(inputs, Mapping):
        last = {key: value[-1:] for key, value in inputs.items()}
    elif isinstance(inputs, (list, tuple)):
        last = [value[-1:] for value in inputs]
    else:
        last = inputs[-1:]
    try:
        with _without_compiling(net), torch.no_grad():
            outputs = net.infer(last)
    except (RuntimeError, ValueError, IndexError):
        return None
    logits = outputs if isinstance(outputs, Tensor) else first_tensor(outputs)
    return logits if logits.ndim == 2 else None


def _are_close(a: Tensor, b: Tensor | None) -> bool:
    # A device may sum in another order for another number of rows.
    return b is not None and bool((a - b).abs().max() <= 0.03 * b.abs().max() + 1e-6)


def _check_size(net: Any, logits: Tensor) -> None:
    """Warn of inputs so large that so are the outputs, before anything is learnt."""
    if not logits.abs().max() > _LARGE or any(
        isinstance(layer, (Standardize, _BatchNorm)) for layer in net.module_.modules()
    ):
        return
    warn(
        f"The student {describe(net.module_)} gives outputs up to "
        f"{logits.abs().max():.2g} before training, as X is far from values around 1: "
        "it will learn badly. Scale X, by make_pipeline(StandardScaler(), student) or "
        "by Standardize from skkd.students as the first layer.",
        DistillationWarning,
    )


def _check_last_layer(net: Any, logits: Tensor) -> None:
    """Raise, or warn, if the outputs are not what the criterion takes."""
    # Two rows that are alike may come near to 1 by chance.
    close = 1e-4 if net.precision == "fp32" else 1e-2
    # One class less would leave a single number, which is 1.
    sums_to_1 = logits.shape[1] > 1 and ((logits.sum(1) - 1).abs() < close).all()
    is_probability = bool(sums_to_1 and (logits >= 0).all())
    if net.expects_probabilities:
        if not is_probability:
            raise ValueError(
                f"criterion=NLLLoss expects probabilities, as from a softmax, and the "
                f"student {describe(net.module_)} gives others. Leave criterion at "
                "CrossEntropyLoss for a module that gives logits, or a log_softmax."
            )
        return
    criterion = getattr(net, "criterion_", None)
    if not isinstance(getattr(criterion, "_orig_mod", criterion), nn.CrossEntropyLoss):
        return
    if is_probability:
        raise ValueError(
            f"The student {describe(net.module_)} ends in a softmax, and "
            "CrossEntropyLoss takes one itself: of probabilities it learns slowly and "
            "is never sure. Leave out the last layer, or pass "
            "criterion=torch.nn.NLLLoss, which takes probabilities here."
        )
    bounds = _BOUNDED.get(_last_operation(logits))
    if bounds is not None:
        warn(
            f"The student {describe(net.module_)} ends in an activation that leaves "
            f"{bounds}, and CrossEntropyLoss expects logits of any value: leave out "
            "the last layer.",
            DistillationWarning,
        )


def _last_operation(logits: Tensor) -> str:
    """Return the name of the last operation that computed a value, or ''."""
    node: Any = logits.grad_fn
    while node is not None and node.name().startswith(_RESHAPES):
        node = node.next_functions[0][0] if node.next_functions else None
    return "" if node is None else node.name()


def _check_axes(net: Any) -> None:
    """Warn if convolutions would take the rows of an image for its channels."""
    if not _channels_are_last(net.input_shape_):
        return
    n_rows = net.input_shape_[0]
    for layer in net.module_.modules():
        if isinstance(layer, nn.Conv2d):
            if layer.in_channels == n_rows:
                warn(
                    f"X has rows of shape {net.input_shape_}, which look like (H, W, "
                    f"C), and the student {describe(net.module_)} takes them for "
                    f"{n_rows} channels: pass X.transpose(0, 3, 1, 2).",
                    DistillationWarning,
                )
            return


def _channels_are_last(shape: tuple[int, ...] | None) -> bool:
    if shape is None or len(shape) != 3:
        return False
    height, width, n_channels = shape
    # One value along the last axis is also what measurements in time are given.
    square = height == width or n_channels > 1
    return n_channels in (1, 3, 4) and min(height, width) > 4 and square
