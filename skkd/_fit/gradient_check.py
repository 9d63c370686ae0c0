"""Parameters that a student predicts with, and that its training never reaches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from skorch.dataset import unpack_data
from torch.nn import Parameter

from skkd._utils.modules import describe, first_tensor
from skkd._utils.rng import preserved_rng
from skkd._utils.warn import warn
from skkd.exceptions import DistillationWarning

# A layer that is left out at random, as in stochastic depth, is there in one of these.
_N_PASSES = 10


def check_gradients(net: Any, batch: Any, fit_params: Mapping[str, Any]) -> None:
    """Raise, after the first backward pass, if weights that predict got no gradient.

    As where `forward` returns two heads in training and their mean in evaluation. The
    samples of the batch are the same in both modes, random streams and buffers are
    left as they were.
    """
    missing = {
        name: parameter
        for name, parameter in net.module_.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    }
    buffers = [(buffer, buffer.clone()) for buffer in net.module_.buffers()]
    with preserved_rng(net.device or "cpu"), torch.enable_grad():
        try:
            missing = _used_to_predict(net, batch, fit_params, missing)
            for _ in range(_N_PASSES):
                if missing:
                    missing = _without_gradient(net, batch, fit_params, missing)
        finally:
            net._set_training(True)
            for buffer, value in buffers:
                with torch.no_grad():
                    buffer.copy_(value)
    if missing:
        _report(net, [*missing])


def explained(net: Any, error: RuntimeError) -> Exception:
    """Return an error that says what to do, if the loss has no gradient at all."""
    if "does not require grad" not in str(error):
        return error
    return ValueError(
        f"The loss of the student {describe(net.module_)} depends on none of the "
        "weights that are trained: look for detach(), argmax() or no_grad() in its "
        "forward, and for a callback, as Freezer, that freezes all of them."
    )


def _used_to_predict(
    net: Any, batch: Any, fit_params: Mapping[str, Any], some: dict[str, Parameter]
) -> dict[str, Parameter]:
    net._set_training(False)
    outputs = net.infer(unpack_data(batch)[0], **fit_params)
    logits = outputs if isinstance(outputs, torch.Tensor) else first_tensor(outputs)
    return _reached(logits.sum(), some, True)


def _without_gradient(
    net: Any, batch: Any, fit_params: Mapping[str, Any], some: dict[str, Parameter]
) -> dict[str, Parameter]:
    net._set_training(True)
    X, y = unpack_data(batch)
    loss = net.get_loss(net.infer(X, **fit_params), y, X=X, training=True)
    return _reached(loss, some, False)


def _reached(
    result: torch.Tensor, some: dict[str, Parameter], wanted: bool
) -> dict[str, Parameter]:
    """Return those parameters that `result` depends on, or those that it does not."""
    if not result.requires_grad:
        return {} if wanted else some
    gradients = torch.autograd.grad(result, [*some.values()], allow_unused=True)
    pairs = zip(some.items(), gradients, strict=True)
    return {n: p for (n, p), gradient in pairs if (gradient is not None) == wanted}


def _report(net: Any, names: list[str]) -> None:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    found = (
        f"The student {describe(net.module_)} predicts with {', '.join(names[:4])}"
        f"{more}, and the training loss does not depend on "
        f"{'it' if len(names) == 1 else 'them'}"
    )
    if net.alpha == 1:  # first the features, then the last layer: may be meant
        warn(
            f"{found}: with alpha=1 the labels have no part in it. Take a smaller "
            "alpha, or train the rest by partial_fit afterwards.",
            DistillationWarning,
        )
        return
    raise ValueError(
        f"{found}: its forward returns something else in training than in evaluation. "
        "Of a tuple the first part is trained: return what is predicted with, in both "
        "modes, or call requires_grad_(False) on what is not to be trained."
    )
