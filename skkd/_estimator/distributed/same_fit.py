"""What has to be the same in all processes of a fit, compared before it starts."""

from __future__ import annotations

import hashlib
import platform
from typing import Any

import numpy as np
import torch

from skkd._data.rows import LAZY, len_of, pick
from skkd._estimator.distributed.processes import OtherProcessError, Processes
from skkd._fit.plan import FitPlan
from skkd._version import __version__
from skkd.memory._fingerprint import FingerprintError, fingerprint
from skkd.memory._row_keys import row_keys

# Parameters that may differ: where and how a process runs, and what the main process
# alone does.
_OWN = frozenset(
    {"accelerator", "device", "teacher", "memory", "callbacks", "verbose", "strict"}
)
# Of samples that are fetched one by one, so many are compared.
_N_FETCHED = 64


def check_same_fit(net: Any, plan: FitPlan, processes: Processes) -> None:
    """Raise, in all processes, if they do not run the same fit."""
    facts = {**_versions(), **_data(plan), **_parameters(net)}
    _compare(processes, "the start of a fit", facts)


def check_same_student(net: Any, processes: Processes) -> None:
    """Raise, in all processes, if they do not start from the same weights."""
    weights = "the student's initial weights"
    _compare(processes, "the first epoch", {weights: _digest_of(net.module_)})


def _compare(processes: Processes, place: str, facts: dict[str, str]) -> None:
    every = processes.meet(place, facts)
    for rank, other in enumerate(every[1:], start=1):
        names = [name for name in {**every[0], **other} if
                 every[0].get(name) != other.get(name)]  # fmt: skip
        if names:
            pairs = (f"{n} ({every[0].get(n)} and {other.get(n)})" for n in names[:5])
            raise OtherProcessError(
                f"Process {rank} does not run the fit of process 0. They differ in: "
                f"{', '.join(pairs)}. Each has to be given the same data and "
                "parameters, of which it takes its share itself."
            )


def _versions() -> dict[str, str]:
    return {
        "version of skkd": __version__,
        "version of torch": str(torch.__version__),
        "version of NumPy": np.__version__,
        "version of Python": platform.python_version(),
    }


def _data(plan: FitPlan) -> dict[str, str]:
    X = plan.X
    if isinstance(X, LAZY):
        few = np.linspace(0, len_of(X) - 1, min(len_of(X), _N_FETCHED)).astype(int)
        X = pick(X, few)
    try:
        keys, kind = row_keys(X)
        content = f"{kind} {_digest(keys)}"
    except FingerprintError:
        content = "not known"
    facts = {"the number of samples": str(len(plan.y)), "X": content}
    facts["y"] = _digest(plan.y_encoded)
    facts["the classes"] = repr(plan.classes.tolist())[:200]
    for name in ("sample_weight", "groups", "teacher_logits"):
        values = getattr(plan, name)
        facts[name] = "None" if values is None else _digest(np.asarray(values))
    return facts


def _parameters(net: Any) -> dict[str, str]:
    facts = {}
    for name, value in net.get_params(deep=False).items():
        if name in _OWN or name.startswith("callbacks__"):
            continue
        if isinstance(value, (str, int, float, bool, type(None))):
            facts[name] = repr(value)
            continue
        try:
            facts[name] = fingerprint(value)[:12]
        except FingerprintError:  # as of a lambda
            facts[name] = type(value).__name__
    return facts


def _digest(values: np.ndarray) -> str:
    if values.dtype.hasobject:
        raw = repr(values.tolist()).encode()
    else:
        raw = np.ascontiguousarray(values).tobytes()
    return hashlib.sha256(raw).hexdigest()[:12]


def _digest_of(module: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        if isinstance(tensor, torch.Tensor):
            raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(raw.numpy().tobytes())
    return digest.hexdigest()[:12]


def checksum(module: torch.nn.Module) -> list[float]:
    """Return the sums of all weights: cheap, and equal if the weights are."""
    state = [t for t in module.state_dict().values() if isinstance(t, torch.Tensor)]
    return torch.stack([t.detach().double().sum().cpu() for t in state]).tolist()
