"""The key of a fit: a hash of all that its result depends on."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
import sklearn
import skorch
import torch

from skkd._utils.modules import describe
from skkd._version import __version__
from skkd.checkpoints._content import SettingsError, settings_digest
from skkd.memory._fingerprint import FingerprintError, first_line
from skkd.memory._known import known_fingerprint, known_row_keys
from skkd.memory._logits import LogitMemory

# Parameters that change no result, and those of which the key holds something else.
_LEFT_OUT = frozenset(
    {
        *("checkpoint", "checkpoint_every", "verbose", "strict", "on_interrupt"),
        *("torch_load_kwargs", "device", "memory"),
        *("teacher", "teacher_transform", "callbacks"),
    }
)
_REMEDY = (
    "Define functions and classes at the top level of a module, use objects that can "
    "be pickled, or pass checkpoint=None."
)


def fit_key(net: Any, plan: Any, fit_params: Mapping[str, Any], method: str) -> str:
    """Return the key of a fit: 32 hexadecimal digits.

    Parameters
    ----------
    net : DistilledClassifier
    plan : FitPlan
    fit_params : mapping
        Of ``fit``, for the student's ``forward``.
    method : str
        "fit", "partial_fit", or another way in which the student is trained.

    Raises
    ------
    ValueError
        If something of it cannot be told from another one by its content.
    """
    parts = {
        "method": method,
        "versions": _versions(),
        "device": torch.device(net.device).type,
        "float": str(torch.get_default_dtype()),
        "matmul": torch.get_float32_matmul_precision(),
        "class": _digest(type(net), "the class"),
        "more": _digest(net._more_content(), "the parameters"),
        **_digests_of_params(net),
        **_digests_of_data(plan, net),
    }
    for name, value in fit_params.items():
        parts[f"fit {name}"] = _digest(value, name)
    if plan.needs:
        parts["teacher"] = _digest_of_teacher(net, plan)
    text = "\n".join(f"{key}: {value}" for key, value in sorted(parts.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _versions() -> list[str]:
    python = ".".join(platform.python_version_tuple()[:2])
    found = [torch, np, skorch, sklearn]
    return [f"skkd {__version__}", f"python {python}"] + [
        f"{library.__name__} {library.__version__}" for library in found
    ]


def _digests_of_params(net: Any) -> dict[str, str]:
    digests = {
        name: _digest(vars(net)[name], name)
        for name in net._get_param_names()
        if name not in _LEFT_OUT and name != "classes"
    }
    callbacks = [] if net.callbacks is None else net.callbacks
    if isinstance(callbacks, list):
        callbacks = [cb for cb in callbacks if not _observes_only(cb)]
    digests["callbacks"] = _digest(callbacks, "callbacks")
    if isinstance(net.memory, LogitMemory):
        options = (net.memory.dtype, net.memory.top_k)
        digests["memory"] = repr(options)
    return digests


def _observes_only(item: Any) -> bool:
    callback = item[1] if isinstance(item, (tuple, list)) else item
    cls = callback if isinstance(callback, type) else type(callback)
    return bool(getattr(cls, "observes_only", False))


def _digests_of_data(plan: Any, net: Any) -> dict[str, str]:
    arrays = {
        "y": plan.y_encoded,
        "weight": plan.weight,
        "sample_weight": plan.sample_weight,
        "teacher_logits": plan.teacher_logits,
    }
    digests = {name: _digest(values, name) for name, values in arrays.items()}
    digests["classes"] = _digest([plan.classes, plan.classes.tolist()], "classes")
    digests["groups"] = _digest(plan.groups, "groups")
    digests["X"] = _digest_of_rows(plan.X_as_given, "X")
    if plan.needs and plan.teacher_X is not plan.X_as_given:
        digests["teacher_X"] = _digest_of_rows(plan.teacher_X, "teacher_X")
    return digests


def _digest_of_rows(X: Any, name: str) -> str:
    try:
        keys, kind = known_row_keys(X)
    except FingerprintError as error:
        raise _not_told(name, X, error.__cause__ or error) from error
    digest = hashlib.sha256(np.ascontiguousarray(keys).tobytes()).hexdigest()
    return f"{digest} {kind} {len(keys)}"


def _digest_of_teacher(net: Any, plan: Any) -> str:
    if plan.teacher is None:  # clones are fitted, if there is any
        return _digest(net.teacher, "teacher")
    try:
        return known_fingerprint(plan.teacher)
    except FingerprintError as error:
        raise ValueError(
            "checkpoint= finds a fit again by its content, and this teacher "
            f"{describe(net.teacher)} has none that tells it from another: "
            f"{first_line(error.__cause__ or error)}. Name it, "  # type: ignore[arg-type]
            "as_teacher(model, name='v1'), another name for other weights; or pass "
            "checkpoint=None."
        ) from error


def _digest(value: Any, name: str) -> str:
    try:
        return settings_digest(value)
    except SettingsError as error:
        raise _not_told(name, value, error) from error


def _not_told(name: str, value: Any, error: BaseException) -> ValueError:
    return ValueError(
        f"checkpoint= finds a fit again by its content, and {name}="
        f"{describe(value):.80} cannot be told from another one: {error}. {_REMEDY}"
    )
