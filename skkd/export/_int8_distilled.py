"""Int8 by training: the float student teaches a copy that computes as int8 does.

The copy rounds its weights and the inputs of its layers in the forward pass and passes
gradients through, as in Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", CVPR 2018. Rounding by channel does not
notice whether a batch normalisation is folded into the weights, so that it is not.
"""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any

import numpy as np
import torch
from skorch.callbacks import LRScheduler
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from skkd._estimator.classifier import DistilledClassifier
from skkd._utils.modules import cast_floats, eval_mode
from skkd.exceptions import DistillationWarning
from skkd.export._int8_graph import WEIGHT_LEVELS, scale_and_zero
from skkd.export._int8_ranges import Seen, clipped_range
from skkd.export._module import Probabilities

_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_N_STEPS, _N_EPOCHS, _BATCH_SIZE, _LR = 300, 3, 32, 1e-5


def distill_for_int8(
    net: Any, module: Probabilities, inputs: dict[str, np.ndarray], logits: np.ndarray
) -> Probabilities:
    """Return a copy of a student, trained to answer alike once it is int8.

    Parameters
    ----------
    net : DistilledClassifier
        The fitted student, whose loss and temperature are those of the training.
    module : Probabilities
        The same in float.
    inputs : dict of str to ndarray
        Training samples, as the student takes them; labels are not needed.
    logits : ndarray of shape (n, n_classes)
        What the float student says of them.
    """
    student = copy.deepcopy(module.student)
    _observe_inputs(module, student, inputs)
    _round_weights(student)
    _fix_statistics(student)
    n_samples, n_classes = logits.shape
    n_batches = math.ceil(n_samples / _BATCH_SIZE)
    max_epochs = max(_N_EPOCHS, math.ceil(_N_STEPS / n_batches))
    loss = getattr(net, "distillation_", None)
    of_logits = getattr(loss, "needs", None) == "logits"
    taught = DistilledClassifier(
        student,
        temperature=net.temperature,
        alpha=1.0,
        distillation=loss if of_logits else "kd",
        criterion=net.criterion,
        batch_size=_BATCH_SIZE,
        max_epochs=max_epochs,
        lr=_LR,
        callbacks=[
            LRScheduler(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=max_epochs)
        ],
        device="cpu",
        random_state=0,
    )
    X = inputs if module.names is not None else next(iter(inputs.values()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DistillationWarning)  # of layers not trained
        taught.partial_fit(
            X,
            logits.argmax(axis=1),
            classes=np.arange(n_classes),
            teacher_logits=logits,
        )
    return _with_weights(module, taught.module_)


class _RoundedInput:
    """A hook that rounds what goes into a layer to the levels of uint8."""

    def __init__(self, low: float, high: float) -> None:
        scale, zero = scale_and_zero(low, high)
        self.scale, self.zero = float(scale), int(zero)

    def __call__(self, layer: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        x = args[0]
        if not x.is_floating_point():
            return args
        scale, zero = self.scale, self.zero
        return (
            torch.fake_quantize_per_tensor_affine(x, scale, zero, 0, 255),
            *args[1:],
        )


class _RoundedWeight(nn.Module):
    """Rounds weights to as many levels as the graph has, for each output channel."""

    def forward(self, weight: Tensor) -> Tensor:
        largest = weight.detach().flatten(1).abs().amax(dim=1)
        scale = largest.clamp(min=1e-12) / WEIGHT_LEVELS
        zero = torch.zeros_like(scale, dtype=torch.int32)
        low, high = -WEIGHT_LEVELS, WEIGHT_LEVELS
        return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, low, high)


class _FixedBatchNorm(nn.Module):
    """A batch normalisation with the statistics of the fit, in training too."""

    mean: Tensor
    var: Tensor

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.register_buffer("mean", norm.running_mean)
        self.register_buffer("var", norm.running_var)

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.mean, self.var
        return nn.functional.batch_norm(
            x, mean, var, self.weight, self.bias, eps=self.eps
        )


def _layers(student: nn.Module) -> list[nn.Module]:
    """Return the layers whose weights are their own, and not shared or computed."""
    layers = [m for m in student.modules() if type(m) in _LAYERS]
    counts: dict[int, int] = {}
    for layer in layers:
        counts[id(layer.weight)] = counts.get(id(layer.weight), 0) + 1
    return [layer for layer in layers if counts[id(layer.weight)] == 1]


@torch.no_grad()
def _observe_inputs(
    module: Probabilities, student: nn.Module, inputs: dict[str, np.ndarray]
) -> None:
    """Let the layers of `student` round what goes into them, as seen in `inputs`."""
    values: dict[nn.Module, list[Tensor]] = {}

    def record(layer: nn.Module, args: tuple[Any, ...]) -> None:
        x = args[0].reshape(-1)
        step = max(1, x.numel() // 2**14) | 1
        kept = torch.cat([x[::step], x.min().reshape(1), x.max().reshape(1)])
        values.setdefault(layer, []).append(kept)

    observed = Probabilities(student, module.nonlinearity, module.names)
    handles = [layer.register_forward_pre_hook(record) for layer in _layers(student)]
    tensors = [cast_floats(some[:512], student) for some in inputs.values()]
    with eval_mode(observed):
        for batch in zip(*(t.split(64) for t in tensors), strict=True):
            observed(*batch)
    for handle in handles:
        handle.remove()
    for layer, parts in values.items():
        x = torch.cat(parts).float().numpy()
        seen = Seen(float(x.min()), float(x.max()), x, np.zeros(1))
        layer.register_forward_pre_hook(_RoundedInput(*clipped_range(seen)))


def _round_weights(student: nn.Module) -> None:
    for layer in _layers(student):
        parametrize.register_parametrization(layer, "weight", _RoundedWeight())


def _fix_statistics(student: nn.Module) -> None:
    """Replace batch normalisations: a few hundred samples are too few for new ones."""
    for parent in [*student.modules()]:
        for name, child in [*parent.named_children()]:
            if isinstance(child, _BatchNorm) and child.running_mean is not None:
                setattr(parent, name, _FixedBatchNorm(child))


def _with_weights(module: Probabilities, taught: nn.Module) -> Probabilities:
    """Return a copy of `module` with the parameters of the student that was taught."""
    result = copy.deepcopy(module)
    trained = {
        name.replace("parametrizations.weight.original", "weight"): parameter
        for name, parameter in taught.named_parameters()
    }
    with torch.no_grad():
        for name, parameter in result.student.named_parameters():
            if name in trained:
                parameter.copy_(trained[name])
    return result.eval()
