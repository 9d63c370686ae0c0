"""Refusals: of an accelerator that is not what was asked for, and of what cannot be."""

from __future__ import annotations

import os
from typing import Any

from torch.utils.data import DataLoader

from skkd._estimator.distributed.batch_norm import check_batch_norm

# How launchers say how many processes they start.
_SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
_LAUNCH = "torchrun --nproc-per-node 2 script.py"


def check_accelerator(accelerator: Any) -> None:
    """Raise if this is no accelerator, of fewer processes than were asked for."""
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise ImportError(
            f"accelerator={accelerator!r}: the package accelerate is not installed, "
            'pip install "skkd[accelerate]".'
        ) from error
    if not isinstance(accelerator, Accelerator):
        raise TypeError(
            f"accelerator={accelerator!r}: expected an accelerate.Accelerator(), or "
            "None for a fit in this process alone."
        )
    _check_number(accelerator)
    kind = str(accelerator.distributed_type).rpartition(".")[-1]
    if kind not in ("NO", "MULTI_CPU", "MULTI_GPU"):
        raise ValueError(
            f"The accelerator is of type {kind}, and expected are copies of the whole "
            "student in each process, on CPUs or GPUs: FSDP, DeepSpeed and others, "
            "which divide the student, are not supported."
        )
    if str(accelerator.mixed_precision) != "no":
        raise ValueError(
            f"mixed_precision={accelerator.mixed_precision!r} of the accelerator: "
            "leave it at 'no', and pass precision='bf16' to the estimator."
        )
    if accelerator.gradient_accumulation_steps != 1:
        raise ValueError(
            f"gradient_accumulation_steps={accelerator.gradient_accumulation_steps} "
            "of the accelerator: leave it at 1. batch_size is that of all processes "
            "together."
        )


def _check_number(accelerator: Any) -> None:
    """Raise where one process would train alone, and believe to be one of several."""
    found, env = accelerator.num_processes, os.environ
    wanted = max([int(env.get(name) or 1) for name in _SIZES])
    if wanted > found:
        remedy = f"start them by {_LAUNCH}"
        if env.get("LOCAL_RANK") is not None:
            remedy = "without GPUs, write Accelerator(cpu=True)"
        raise RuntimeError(
            f"The environment asks for {wanted} processes, and the accelerator has "
            f"{found}: {remedy}."
        )
    # `accelerate launch --num_processes 2 --cpu` sets an address to meet at, and starts
    # one process, which knows nothing of a second.
    launched = "ACCELERATE_MIXED_PRECISION" in env and "MASTER_PORT" in env
    if found == 1 and launched and "WORLD_SIZE" not in env:
        raise RuntimeError(
            "`accelerate launch` was asked for several processes, and has started one, "
            f"as it does with --cpu: start them by {_LAUNCH}."
        )


def check_supported(net: Any) -> None:
    """Raise if a parameter has no meaning over several processes."""
    if vars(net)["device"] not in (None, "auto"):
        raise ValueError(
            f"device={vars(net)['device']!r}: leave it at 'auto', the accelerator "
            "chooses the device of each process."
        )
    for name in ("iterator_train", "iterator_valid"):
        if getattr(net, name) is not DataLoader:
            raise ValueError(
                f"{name}={getattr(net, name)!r}: over several processes the batches of "
                "a torch DataLoader are divided. Pass a sampler to it, as "
                f"{name}__sampler, if rows are to be drawn otherwise."
            )
    if net.compile:
        raise ValueError(
            "compile=True is not supported over several processes: leave it out."
        )
    if net.synthetic is not None:
        raise ValueError(
            "synthetic= is not supported over several processes: leave it out, or fit "
            "in one, with accelerator=None."
        )
    if net.on_interrupt == "keep":
        raise ValueError(
            "on_interrupt='keep' would keep a student that CTRL-C stopped at another "
            "batch in each process: leave it at 'raise'."
        )
    if hasattr(net, "_skl_callbacks"):
        raise ValueError(
            "Callbacks of scikit-learn, by set_callbacks(), are not supported over "
            "several processes: pass callbacks=, those of skorch."
        )


def check_student(net: Any) -> None:
    """Raise if the student cannot be trained by several processes."""
    check_batch_norm(net.module_)
