"""The names of the losses, and how a loss is made of what the user passes."""

import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from sklearn.base import clone
from torch import Tensor

from skkd.losses._base import DistillationLoss

# By name; filled by `skkd.losses`, which imports all losses.
LOSSES: dict[str, type[DistillationLoss]] = {}
_NEEDS = ("logits", "features", "nothing")

LossFunction = Callable[[Tensor, Tensor, Tensor, float], Tensor]


def as_loss(distillation: Any, **params: Any) -> LossFunction:
    """Make a distillation loss, ready for a fit, from whatever names or defines one.

    Parameters
    ----------
    distillation : str, DistillationLoss instance or subclass, or callable
        - a name (``"kd"``, ``"dkd"``, ... the keys of ``LOSSES``) or a subclass of
          :class:`DistillationLoss` makes a new object;
        - an object with ``get_params`` and ``set_params`` is cloned, so that the one
          passed never changes;
        - any other callable that accepts ``(student_logits, teacher_logits, y,
          temperature)`` is returned as it is, and never changed.
    **params
        Parameters to set on the new object, by name; those of a loss inside of it as
        ``part__name``.

    Returns
    -------
    callable
        ``loss(student_logits, teacher_logits, y, temperature) -> Tensor``. Losses
        inside of it that were given by name are objects.

    Raises
    ------
    ValueError
        If the name is unknown, the loss has no such parameter, or a value is
        impossible for it.
    TypeError
        If it is no such callable, or parameters are given for a plain function.

    Examples
    --------
    >>> from skkd.losses import as_loss
    >>> as_loss("kd")
    KD()
    >>> as_loss("kb")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: Got distillation='kb'; expected 'kd', ... Did you mean 'kd'?
    >>> as_loss("standardized_kd", loss="dkd", loss__beta=2.0)
    LogitStandardization(loss=DKD(beta=2.0))
    """
    loss = _make_loss(distillation, params)
    if isinstance(loss, DistillationLoss):
        loss.check()
        loss.resolve_names()
    return loss


def loss_of(net: Any) -> LossFunction:
    """Return the loss of a DistilledClassifier, as :func:`as_loss` makes it."""
    return as_loss(net.distillation, **net.get_params_for("distillation"))


def flatten(loss: Any) -> list[tuple[float, Any]]:
    """Return the losses to compute, each with its weight; never empty.

    A :class:`~skkd.losses.WeightedSum` gives its parts, and the parts of sums inside of
    it, without those of weight 0; anything else is one part of weight 1. The ``weight``
    of a FeatureLoss stays with it.
    """
    loss = resolve(loss)
    if isinstance(loss, DistillationLoss):
        return loss.weighted_parts()
    return [(1.0, loss)]


def needs_of(loss: Any) -> frozenset[str]:
    """Return what a loss needs of the teacher: "logits", "features", both or nothing.

    Parts of weight 0 need nothing.
    """
    parts = [part for _, part in flatten(loss)]
    return frozenset({need_of(part) for part in parts} - {"nothing"})


def need_of(part: Any) -> str:
    """Return what one part needs; a callable "logits", whatever attributes it has."""
    need = part.needs if isinstance(part, DistillationLoss) else "logits"
    if need not in _NEEDS:
        raise ValueError(
            f"Got needs={need!r} for {type(part).__name__}; expected one of "
            f"{_names(_NEEDS)}, which says what a loss needs of the teacher. Set this "
            "attribute of the class, or give a parameter of yours another name."
        )
    return need


def _make_loss(distillation: Any, params: dict[str, Any]) -> LossFunction:
    if isinstance(distillation, str):
        return _make(_by_name(distillation), params)
    is_class = isinstance(distillation, type)
    if is_class and issubclass(distillation, DistillationLoss):
        return _make(distillation, params)
    if is_class or not callable(distillation):
        raise _not_a_loss(distillation)
    if hasattr(distillation, "get_params") and hasattr(distillation, "set_params"):
        _check_names(type(distillation), params, distillation.get_params())
        return clone(distillation).set_params(**params)
    if not _accepts_four(distillation):
        raise _not_a_loss(distillation)
    if params:
        raise TypeError(
            f"Got {_names(params)} for distillation={distillation!r}, a plain callable "
            "that has no parameters. Drop them, fix them with functools.partial, or "
            "write the loss as a subclass of skkd.losses.DistillationLoss."
        )
    return distillation


def _make(cls: type[DistillationLoss], params: dict[str, Any]) -> DistillationLoss:
    own = {name: value for name, value in params.items() if "__" not in name}
    _check_names(cls, own, cls._get_param_names())
    loss = cls(**own)
    nested = {name: value for name, value in params.items() if "__" in name}
    _check_names(cls, nested, loss.get_params())
    return loss.set_params(**nested)


def _by_name(name: str) -> type[DistillationLoss]:
    if name in LOSSES:
        return LOSSES[name]
    *first, last = map(repr, LOSSES)
    # Classes are known by their names, too.
    known = {cls.__name__.lower(): key for key, cls in LOSSES.items()}
    known |= {key: key for key in LOSSES}
    close = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f" Did you mean {known[close[0]]!r}?" if close else ""
    raise ValueError(
        f"Got distillation={name!r}; expected {', '.join(first)} or {last}, a "
        f"DistillationLoss or a callable.{hint}"
    )


def _check_names(cls: type, params: dict[str, Any], valid: Iterable[str]) -> None:
    valid = sorted(map(str, valid))
    unknown = [name for name in params if name not in valid]
    if unknown:
        expected = f"expected {_names(valid)}" if valid else "it has no parameters"
        close = get_close_matches(unknown[0], valid, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"Got {_names(unknown)} for the distillation loss {cls.__name__}; "
            f"{expected}. Correct the name or leave it out.{hint}"
        )


def _accepts_four(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None, None, None, None)
    except TypeError:
        return False
    except ValueError:  # Some builtins have no signature: let the call decide.
        return True
    return True


def _not_a_loss(got: Any) -> TypeError:
    return TypeError(
        f"Got distillation={got!r}; expected one of {_names(LOSSES)}, a "
        "DistillationLoss or a callable (student_logits, teacher_logits, y, "
        "temperature) -> Tensor. Pass an instance, or wrap it in such a function."
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def resolve(loss: Any) -> LossFunction:
    """Return a new loss for a name, and a DistillationLoss itself, not a clone."""
    if isinstance(loss, DistillationLoss):  # at every batch: not to be cloned
        return loss
    return as_loss(loss)


def resolve_deep(loss: Any) -> LossFunction:
    """Return :func:`resolve`, with the names inside of the loss resolved in place."""
    loss = resolve(loss)
    if isinstance(loss, DistillationLoss):
        loss.resolve_names()
    return loss


def named_params(prefix: str, loss: Any) -> dict[str, Any]:
    """Return the parameters of a loss that is given by name, as ``prefix__name``.

    For anything but a known name they are empty.
    """
    if not isinstance(loss, str) or loss not in LOSSES:
        return {}
    params = LOSSES[loss]().get_params()
    return {f"{prefix}__{name}": value for name, value in params.items()}
