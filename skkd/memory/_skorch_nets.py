"""What of a skorch net has an influence on its predictions."""

from __future__ import annotations

from typing import Any

from skorch import NeuralNet

from skkd.memory._code import names_used_by
from skkd.memory._release import release_of

# Set by skorch's NeuralNet and without influence on predictions; also as a prefix of
# parameters, such as `callbacks__*`. skkd's classes declare theirs as `_not_content`.
_NOT_CONTENT = frozenset(
    {
        *("module", "criterion", "optimizer", "callbacks", "train_split"),
        *("iterator_train", "virtual_params_", "_params_to_validate"),
        *("optimizer_", "callbacks_", "history_"),
    }
)


def state_of_net(net: NeuralNet) -> list[tuple[str, Any]]:
    """Return the attributes of a net that have an influence on its predictions."""
    ignored = _not_content(type(net))
    return [
        (key, value)
        for key, value in sorted(vars(net).items())
        if key.partition("__")[0] not in ignored
    ]


def _not_content(cls: type) -> set[str]:
    """Return the attributes of a skorch net that have no influence on predictions.

    Each class declares its own, as ``_not_content``. A declared attribute is content
    all the same if another class, not of a released package, uses its name.
    """
    used = {
        base: names_used_by(base)
        for base in cls.__mro__
        if release_of(base.__module__) is None
    }
    ignored: set[str] = set()
    for base in cls.__mro__:
        declared = vars(base).get("_not_content", frozenset())
        if base is NeuralNet:
            declared = _NOT_CONTENT
        for name in declared:
            names = {name, name.rstrip("_")}  # skorch shows history_ as history
            if not any(names & used[other] for other in used if other is not base):
                ignored.add(name)
    return ignored
