"""All that a fit in progress depends on, taken and given back, bit for bit."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from skorch.history import History

from skkd._formats.container import checksum
from skkd._utils.rng import get_states, set_states
from skkd.checkpoints._callbacks import (
    callbacks_of,
    callbacks_to_json,
    given_to,
    set_callbacks,
)
from skkd.checkpoints._content import settings_digest
from skkd.checkpoints._history import history_to_json, rows_of
from skkd.checkpoints._modules import modules_to_json, set_modules
from skkd.checkpoints._values import Encoder, NotEncodable, decode

# Fitted attributes that are numbers or None.
_ATTRIBUTES = ("channels_last_", "next_seed_", "teacher_temperature_")
_GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState)


class State(NamedTuple):
    """The state of a fit, as a file holds it.

    Attributes
    ----------
    content : dict
        What JSON can hold.
    tensors : dict of str to Tensor
    """

    content: dict[str, Any]
    tensors: dict[str, torch.Tensor]

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        return checksum(self.content, self.tensors)


def state_of(net: Any, *, finished: bool = False, with_callbacks: bool = True) -> State:
    """Return the state of a net.

    Parameters
    ----------
    net : DistilledClassifier
    finished : bool, default=False
        Whether no training is in progress, and the global random streams are the
        user's.
    with_callbacks : bool, default=True
        Before the first training, callbacks need not know their state.

    Raises
    ------
    NotEncodable
        If something of it cannot be held by a file.
    """
    if type(net.history_) is not History:
        raise NotEncodable(
            f"history is a {type(net.history_).__name__}: expected skorch's History"
        )
    encode, optimizers = Encoder(), _optimizers_of(net)
    values = {name: getattr(net, name, None) for name in _ATTRIBUTES}
    content = {
        "modules": modules_to_json(_modules_of(net), encode),
        "optimizers": [
            [name, encode(part.state_dict(), name)] for name, part in optimizers.items()
        ],
        "callbacks": callbacks_to_json(net, encode) if with_callbacks else [],
        "history": history_to_json(net.history_, encode),
        "streams": encode(_streams_of(net, finished), "random streams"),
        "attributes": encode(values, "attributes"),
        "given": _digest_of_given(net),
    }
    return State(content, encode.tensors)


def set_state(net: Any, state: State) -> None:
    """Give a net in training the state that `state_of` took; all of it, or nothing.

    Parameters
    ----------
    net : DistilledClassifier
        Before its first step, built as the one that the state was taken of.
    state : State

    Raises
    ------
    ValueError
        If it is not the state of such a net, which is then as it was.
    """
    before = state_of(net)
    try:
        _set(net, state)
        now = state_of(net)
        if now.digest != state.digest:
            raise ValueError(f"it does not give its {_first_difference(now, state)}")
    except Exception as error:  # whatever content that does not fit leads to
        _set(net, before)
        raise ValueError(f"{type(error).__name__}: {error}") from error


def set_finished(net: Any, state: State, *, fresh: bool) -> None:
    """Give a net what `state_of` took of a finished one; all of it, or nothing.

    Parameters
    ----------
    net : DistilledClassifier
    state : State
    fresh : bool
        Whether the net was never trained.

    Raises
    ------
    ValueError
        As :func:`set_state`.
    """
    before = state_of(net, finished=True, with_callbacks=not fresh)
    try:
        _set(net, state, finished=True)
        now = modules_to_json(_modules_of(net), Encoder())
        saved = state.content["modules"]
        if [entry[-1] for entry in now] != [entry[-1] for entry in saved]:
            raise ValueError("it does not give the student that was saved")
    except Exception as error:  # whatever content that does not fit leads to
        _set(net, before, finished=True, with_callbacks=not fresh)
        if fresh:
            net._initialize_callbacks()
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _set(
    net: Any, state: State, *, finished: bool = False, with_callbacks: bool = True
) -> None:
    content = {
        key: decode(value, state.tensors)
        for key, value in state.content.items()
        if key != "given"
    }
    optimizers, attributes = _optimizers_of(net), content["attributes"]
    if [*optimizers] != [name for name, _ in content["optimizers"]]:
        raise ValueError("its optimizers are others")
    if [*attributes] != [*_ATTRIBUTES]:
        raise ValueError("its attributes are others")
    rows = rows_of(content["history"])
    set_modules(_modules_of(net), content["modules"])
    for part, (_, own) in zip(optimizers.values(), content["optimizers"], strict=True):
        part.load_state_dict(own)
    if with_callbacks:
        set_callbacks(net, content["callbacks"], finished=finished)
    net.history_[:] = rows
    for name, value in attributes.items():
        if value is not None or name in vars(net):
            setattr(net, name, value)
    _set_streams(net, content["streams"], finished)


def _modules_of(net: Any) -> dict[str, Any]:
    names = [*net._modules, *net._criteria]
    modules = {name: getattr(net, f"{name}_") for name in names}
    features = getattr(net._objective_, "features", None)
    if features is not None:  # adapters, and what a loss remembers of samples
        modules["features of the loss"] = features.comparisons
    return modules


def _optimizers_of(net: Any) -> dict[str, Any]:
    return {name: getattr(net, f"{name}_") for name in net._optimizers}


def _streams_of(net: Any, finished: bool) -> dict[str, Any]:
    own = {name: _state_of_generator(part) for name, part in _generators(net).items()}
    return {"global": None if finished else get_states(net.device), "own": own}


def _set_streams(net: Any, streams: dict[str, Any], finished: bool) -> None:
    if not finished:
        set_states(streams["global"])
    generators = _generators(net)
    for name, state in streams["own"].items():
        part = generators[name]
        if isinstance(part, torch.Generator):
            part.set_state(state)
        elif isinstance(part, np.random.Generator):
            part.bit_generator.state = state
        else:
            part.set_state(state)


def _generators(net: Any) -> dict[str, Any]:
    """Return the generators among the parameters of a net, as of an iterator."""
    found = {}
    for name, value in sorted(vars(net).items()):
        for key, part in ((name, value), (f"{name}.generator", _generator_of(value))):
            if isinstance(part, _GENERATORS) and not name.endswith("_"):
                found[key] = part
    return found


def _generator_of(value: Any) -> Any:
    return getattr(value, "generator", None)  # of a sampler


def _state_of_generator(part: Any) -> Any:
    if isinstance(part, np.random.Generator):
        return part.bit_generator.state
    return part.get_state()


def _digest_of_given(net: Any) -> str:
    """Return a digest of what the fit was given and should not change meanwhile."""
    callbacks = [(name, given_to(cb, name)) for name, cb in callbacks_of(net)]
    loss = getattr(net._objective_, "loss", None)
    return settings_digest([net.augment, loss, callbacks])


def _first_difference(now: State, state: State) -> str:
    for key, value in state.content.items():
        mine = State({key: now.content.get(key)}, now.tensors)
        if mine.content != {key: value}:
            return key
    return "numbers"
