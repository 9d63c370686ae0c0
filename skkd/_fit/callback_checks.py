"""Callbacks of skorch that follow a score which no validation data would give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from skorch.callbacks import EpochScoring

from skkd._utils.warn import warn
from skkd.exceptions import DistillationWarning

# What skorch records of the data that `train_split` holds out.
_OF_VALIDATION = ("valid_loss", "valid_acc")
_REMEDY = (
    "Hold some out, train_split=ValidSplit(0.2, stratified=True) from skorch.dataset"
)


def check_callbacks(net: Any) -> None:
    """Raise before training where skorch would after the first epoch, or ignore it."""
    if isinstance(net.callbacks, str) and net.callbacks == "disable":
        return
    if not isinstance(net.callbacks, list):
        raise TypeError(
            f"callbacks={net.callbacks!r}: expected a list of callbacks, None or "
            "'disable'."
        )
    for item in net.callbacks:
        _check_callback(item)
    if net.train_split:
        return
    recorded: set[str] = {key for row in net.history for key in row}
    for name, callback, params in _callbacks(net):
        if isinstance(callback, EpochScoring):
            if not params.get("on_train", callback.on_train):
                warn(
                    f"The callback {name!r} scores held-out data, and without "
                    f"train_split= there are none: it records nothing. {_REMEDY}, or "
                    "score the training data, on_train=True.",
                    DistillationWarning,
                )
        elif not type(callback).__module__.startswith(("skorch.", "skkd.")):
            return  # it may record whatever is followed
        monitor = params.get("monitor", getattr(callback, "monitor", None))
        monitor = monitor.removesuffix("_best") if isinstance(monitor, str) else None
        if monitor in _OF_VALIDATION and monitor not in recorded:
            raise ValueError(
                f"The callback {name!r} follows {monitor!r}, and without train_split= "
                f"there are no validation data that would give it. {_REMEDY}, or let "
                "it follow the training, monitor='train_loss'."
            )


def _check_callback(item: Any) -> None:
    is_pair = isinstance(item, (tuple, list))
    callback = item
    if is_pair and len(item) == 2 and isinstance(item[0], str):
        callback = item[1]
    # What skorch calls of each.
    known = hasattr(callback, "initialize") and hasattr(callback, "on_train_begin")
    if not known and not (callback is None and is_pair):
        raise TypeError(
            f"callbacks=[{item!r:.80}]: expected callbacks, as of skorch.callbacks or "
            "skkd.callbacks, or pairs of a name and a callback."
        )


def _callbacks(net: Any) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield name, object and parameters of each callback of the user."""
    for item in net.callbacks:
        named = isinstance(item, (tuple, list))
        name, callback = item if named else ("", item)
        kind = callback if isinstance(callback, type) else type(callback)
        name = name or kind.__name__
        callback = vars(net).get(f"callbacks__{name}", callback)
        params = net.get_params_for(f"callbacks__{name}")
        if isinstance(callback, type) and kind.__module__.startswith("skorch."):
            callback = callback(**params)
        if callback is not None:
            yield name, callback, params
