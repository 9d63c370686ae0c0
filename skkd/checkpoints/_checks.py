"""What cannot be saved, or found again, is refused before training."""

from __future__ import annotations

import datetime
from numbers import Integral
from typing import Any

import torch
from skorch.callbacks import InputShapeSetter, LoadInitState

from skkd._utils.checks import is_number
from skkd._utils.modules import describe

_NO_STATE = "Leave it out, or pass checkpoint=None."
_REFUSED_CALLBACKS: dict[type, str] = {
    LoadInitState: "begins with the state in other files, whatever that is by now",
    InputShapeSetter: "builds the student anew when the training begins; a module "
    "with the argument input_shape is told the shape",
}


def check_can_be_saved(net: Any) -> None:
    """Raise ValueError if a fit of `net` could not be found again, or not go on."""
    _check_every(net.checkpoint_every)
    if net.random_state is None:
        raise ValueError(
            "checkpoint= goes on with a fit that was started before, and with "
            "random_state=None each one draws other random numbers, so that none can "
            "be found again: pass random_state=0, or another int."
        )
    if net.device is None or _n_processes() > 1:
        raise ValueError(
            "checkpoint= is for fits in one process, and this one is shared by "
            "several (device=None, or torch.distributed): pass checkpoint=None."
        )
    check_optimizer(net.optimizer, "optimizer")
    kwargs = net.get_params_for("iterator_train")
    if kwargs.get("persistent_workers") and kwargs.get("num_workers"):
        raise ValueError(
            "iterator_train__persistent_workers=True keeps random streams in other "
            "processes, where a checkpoint cannot save them: pass False, or "
            "checkpoint=None."
        )
    for item in net.callbacks if isinstance(net.callbacks, list) else []:
        callback = item[1] if isinstance(item, (tuple, list)) else item
        cls = callback if isinstance(callback, type) else type(callback)
        for refused, reason in _REFUSED_CALLBACKS.items():
            if issubclass(cls, refused):
                raise ValueError(
                    f"The callback {cls.__name__} {reason}: it does not go together "
                    f"with checkpoint=. {_NO_STATE}"
                )


def check_optimizer(optimizer: Any, name: str) -> None:
    """Raise ValueError unless an optimizer is one of torch.optim, by its name."""
    cls = optimizer if isinstance(optimizer, type) else type(optimizer)
    if getattr(torch.optim, cls.__name__, None) is not cls:
        raise ValueError(
            f"{name}={describe(optimizer)}: a checkpoint holds the state of the "
            "optimizers of torch.optim, of which it is known what they keep. Use one "
            "of these, such as torch.optim.AdamW, or pass checkpoint=None."
        )


def _check_every(every: Any) -> None:
    good = every is None or (is_number(every, Integral) and every >= 1)
    if isinstance(every, datetime.timedelta):
        good = every > datetime.timedelta(0)
    if not good:
        raise ValueError(
            f"checkpoint_every={every!r}: expected a number of epochs, 1 or more, a "
            "time, datetime.timedelta(minutes=5), or None, as often as it takes at "
            "most a twentieth of the time."
        )


def _n_processes() -> int:
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return 1
    return int(distributed.get_world_size())
