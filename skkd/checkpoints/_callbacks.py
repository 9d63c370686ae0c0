"""What callbacks of skorch keep during a fit, and which of it is state."""

from __future__ import annotations

from typing import Any

from skorch import callbacks as of_skorch
from skorch.callbacks.scoring import ScoringBase

from skkd.checkpoints._values import Encoder, NotEncodable
from skkd.memory._release import release_of

# Made anew by `initialize`, or in every epoch.
_NOT_STATE: dict[type, set[str]] = {
    ScoringBase: {"scoring_", "name_", "X_indexing_", "y_indexing_"},
    of_skorch.EpochScoring: {"y_trues_", "y_preds_"},
    of_skorch.LRScheduler: {"policy_"},
    of_skorch.EpochTimer: {"epoch_start_time_"},
    of_skorch.PrintLog: {"keys_ignored_"},
    of_skorch.ProgressBar: {"pbar_"},
    of_skorch.TrainEndCheckpoint: {"checkpoint_"},
}
_REMEDY = (
    "Give the callback state_dict() and load_state_dict(), as torch's optimizers have "
    "them, or let it keep numbers, text, arrays, tensors and modules; or pass "
    "checkpoint=None."
)


def has_state_dict(part: Any) -> bool:
    """Tell whether an object gives its state, and takes it back, as torch's do."""
    known = hasattr(part, "state_dict") and hasattr(part, "load_state_dict")
    return known and not isinstance(part, type)


def observes_only(callback: Any) -> bool:
    """Tell whether a callback has no influence on the student, and says so."""
    return bool(getattr(type(callback), "observes_only", False))


def callbacks_of(net: Any) -> list[tuple[str, Any]]:
    """Return the callbacks whose state belongs to the fit."""
    return [(k, cb) for k, cb in net.callbacks_ if not observes_only(cb)]


def callbacks_to_json(net: Any, encode: Encoder) -> Any:
    """Return the state of all callbacks: plain values, and objects with a state."""
    return [
        [name, type(callback).__qualname__, *_state_to_json(callback, name, encode)]
        for name, callback in callbacks_of(net)
    ]


def given_to(callback: Any, name: str) -> dict[str, Any]:
    """Return what a callback of the user's was given and no checkpoint can hold.

    Such as functions, which the key of the fit tells. They should not change.
    """
    if has_state_dict(callback):
        return {}
    return {
        key: value
        for key, value, is_state in _parts(callback)
        if not (is_state or has_state_dict(value) or _is_encodable(value))
    }


def _parts(callback: Any) -> list[tuple[str, Any, bool]]:
    """Return name and value of what may be state, and whether it surely is."""
    cls = type(callback)
    is_released = release_of(cls.__module__) is not None
    return [
        (key, value, key.endswith("_"))
        for key, value in sorted(vars(callback).items())
        if key not in _not_state(cls) and (key.endswith("_") or not is_released)
    ]


def _state_to_json(callback: Any, name: str, encode: Encoder) -> list[Any]:
    plain, objects, place = [], [], f"callbacks__{name}"
    if has_state_dict(callback):
        return [[], [["", encode(callback.state_dict(), place)]]]
    for key, value, is_state in _parts(callback):
        try:
            if has_state_dict(value):
                objects.append([key, encode(value.state_dict(), key)])
            else:
                plain.append([key, encode(value, key)])
        except NotEncodable as error:
            if is_state or has_state_dict(value):
                raise NotEncodable(
                    f"The callback {name!r} keeps something that a checkpoint cannot "
                    f"hold: {error}. {_REMEDY}"
                ) from None
    return [plain, objects]


def _is_encodable(value: Any) -> bool:
    try:
        Encoder()(value, "")
    except NotEncodable:
        return False
    return True


def set_callbacks(net: Any, content: list[Any], *, finished: bool) -> None:
    """Give the callbacks the state that `callbacks_to_json` took, decoded.

    `finished` leaves out objects that a callback makes when a training begins.
    """
    found = callbacks_of(net)
    kinds = [[name, type(callback).__qualname__] for name, callback in found]
    if kinds != [entry[:2] for entry in content]:
        raise ValueError("its callbacks are others")
    for (_, callback), (*_, plain, objects) in zip(found, content, strict=True):
        for key, value in plain:
            is_method = hasattr(type(callback), key)
            if not key.isidentifier() or key.startswith("__") or is_method:
                raise ValueError(f"an attribute {key!r} of a callback")
            setattr(callback, key, value)
        for key, state in objects:
            part: Any = getattr(callback, key, None) if key else callback
            if part is None and finished:
                continue
            part.load_state_dict(state)


def _not_state(cls: type) -> set[str]:
    names: set[str] = set()
    for base in cls.__mro__:
        names |= _NOT_STATE.get(base, set()) | {*vars(base).get("_not_state", ())}
    return names
