"""Which students can be trained together, and why others cannot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from skkd._data.keys import TEACHER_LOGITS
from skkd._estimator.classifier import DistilledClassifier
from skkd._packed.member import Member
from skkd._packed.objective import is_by_sample
from skkd._packed.refusal import CannotBePacked
from skkd._packed.schedules import SCHEDULES
from skkd._packed.stack import layers_of
from skkd._utils.modules import describe
from skkd.losses._registry import loss_of, needs_of
from skkd.memory._fingerprint import FingerprintError, fingerprint

# Each number of a parameter is updated by itself, whatever the others are.
_ELEMENTWISE = tuple(
    getattr(torch.optim, name)
    for name in (
        *("SGD", "ASGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam"),
        *("RMSprop", "Rprop", "Adagrad", "Adadelta"),
    )
)
_RANDOM = (nn.modules.dropout._DropoutNd, nn.RReLU)
_BATCH_NORM = nn.modules.batchnorm._NormBase
_CONVOLUTIONS = nn.modules.conv._ConvNd
_OF_ITERATOR = {"shuffle", "drop_last", "batch_size"}


def check_settings(net: Any) -> None:
    """Raise CannotBePacked if a parameter asks for what only a single fit does."""
    reasons = {
        "a subclass of DistilledClassifier": type(net) is not DistilledClassifier,
        "callbacks": not _are_schedules(net),
        **dict.fromkeys(_changed_callbacks(net), True),
        "set_callbacks": hasattr(net, "_skl_callbacks"),
        "train_split": bool(net.train_split),
        "augment": net.augment is not None or net.n_views is not None,
        "synthetic": net.synthetic is not None,
        f"precision={net.precision!r}": net.precision != "fp32",
        "compile=True": bool(net.compile),
        "warm_start=True": bool(net.warm_start),
        "max_epochs=0": net.max_epochs == 0,
        f"iterator_train={net.iterator_train!r}": net.iterator_train is not DataLoader,
        f"criterion={net.criterion!r}": net.criterion is not nn.CrossEntropyLoss,
        "criterion__*": bool(
            {"weight", "ignore_index", "reduction"}
            & net.get_params_for("criterion").keys()
        ),
        "iterator_train__*": bool(
            net.get_params_for("iterator_train").keys() - _OF_ITERATOR
        ),
        f"optimizer={net.optimizer!r}": net.optimizer not in _ELEMENTWISE,
        "a loss on features": "features" in needs_of(loss_of(net)),
    }
    for reason, holds in reasons.items():
        if holds:
            raise CannotBePacked(reason)


def _are_schedules(net: Any) -> bool:
    """Tell whether a net has no other callbacks, and those of skorch as they are."""
    if net.callbacks in (None, "disable"):
        return True
    given = [item[1] if isinstance(item, tuple) else item for item in net.callbacks]
    return all(type(callback) in SCHEDULES for callback in given)


def _changed_callbacks(net: Any) -> list[str]:
    """Return the parameters that change what callbacks of skorch record."""
    of_skorch = {name for name, _ in net._default_callbacks}
    return [
        f"callbacks__{name}"
        for name, value in net.get_params_for("callbacks").items()
        if name.partition("__")[0] in of_skorch and value is not None
    ]


def check_module(net: Any) -> None:
    """Raise CannotBePacked if a student's layers are not worth it, or not exact."""
    module, layers = net.module_, layers_of(net.module_)
    device = next((p.device.type for p in module.parameters()), "cpu")
    for part in module.modules():
        kind = type(part).__name__
        if type(part) is nn.Dropout and not part.inplace:
            _check_dropout(net, device, any(part is layer for _, layer in layers))
        elif isinstance(part, _RANDOM):
            raise CannotBePacked(f"{kind} in the student")
        if isinstance(part, _BATCH_NORM):
            # A seventh of the time; but Adam makes rounding as large as any gradient,
            # and after three epochs probabilities differ by 4e-4.
            raise CannotBePacked(
                f"{kind}, before which the gradient of a bias is rounding alone"
            )
        if isinstance(part, _CONVOLUTIONS) and device == "cpu":
            raise CannotBePacked(f"{kind} is slower stacked than by itself, on a CPU")
    n_names = len([*module.named_parameters(remove_duplicate=False)])
    if n_names != len([*module.parameters()]):
        raise CannotBePacked(f"{describe(module)} has tied parameters")


def _check_dropout(net: Any, device: str, is_layer: bool) -> None:
    """Raise unless each member can drop what it would drop by itself."""
    if not is_layer:
        raise CannotBePacked("Dropout that is no layer of a Sequential")
    if device != "cpu":
        raise CannotBePacked(f"Dropout on {device}")
    if net.random_state is None:
        raise CannotBePacked("Dropout without random_state")


def groups_of(members: Sequence[Member]) -> list[list[Member]]:
    """Return the groups that can be trained together, in no particular order."""
    groups: dict[Any, list[Member]] = {}
    for member in members:
        groups.setdefault(_key(member), []).append(member)
    return [*groups.values()]


def _key(member: Member) -> Any:
    """Return what the members of a group share, whatever their losses, hashable."""
    net, module = member.net, member.net.module_
    state = [
        (name, tuple(t.shape), t.dtype, t.requires_grad)
        for tensors in (module.named_parameters(), module.named_buffers())
        for name, t in tensors
    ]
    # Batches of other sizes are filled up, which only such losses allow.
    fills_up = member.alpha == 0 or is_by_sample(member.objective.loss)
    sizes = tuple(tuple(map(len, epoch)) for epoch in member.batches)
    settings = {name: net.get_params_for(name) for name in ("module", "criterion")}
    return (
        identity(net.module),
        net.optimizer,
        identity(settings),
        repr(module),
        tuple(state),
        str(net.device),
        (member.X.dtype, member.X.shape[1:]),
        tuple(sorted(member.fields.keys() - {TEACHER_LOGITS})),
        tuple(map(len, member.batches)) if fills_up else sizes,
    )


def identity(value: Any) -> Any:
    """Return what tells a parameter from another: its value if plain, else its id.

    The repr of an estimator says nothing of what it has learnt, that of a large array
    leaves most of it out. Modules and arrays, which `clone` copies, are known by their
    content.
    """
    if isinstance(value, (list, tuple)):
        return type(value), tuple(map(identity, value))
    if isinstance(value, dict):
        return tuple((name, identity(value[name])) for name in sorted(value))
    if isinstance(value, (nn.Module, np.ndarray, torch.Tensor)):
        try:
            return fingerprint(value)
        except FingerprintError:
            return id(value)
    plain = (bool, int, float, str, bytes, type(None), type)
    return (type(value), value) if isinstance(value, plain) else id(value)


def split(members: Sequence[Any], size: int) -> list[list[Any]]:
    """Split a group into as few parts as hold at most `size` members each."""
    n_parts = -(-len(members) // size)
    return [[*members[i::n_parts]] for i in range(n_parts)]
