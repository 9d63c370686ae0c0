"""Fits repeated over seeds: run in processes of one thread, kept in a file."""

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from common import set_up

# Figures of one fit, such as {"accuracy": 0.9, "seconds": 10.0}.
Figures = dict[str, float]


def repeat(
    fit: Callable[..., Figures],
    settings: Sequence[tuple[str, dict[str, Any]]],
    seeds: Sequence[int],
    *,
    jobs: int,
    results: Path | None,
) -> dict[str, list[Figures]]:
    """Call ``fit(seed=seed, **setting)`` for every setting and seed, each once.

    With `results`, figures are written to a file as they come, and those that are
    there already are not computed again. Every process has one thread.
    """
    done = _read(results)
    todo = [
        (name, seed, setting)
        for seed in seeds  # a run that is cut short has all settings of some seeds
        for name, setting in settings
        if _key(name, seed, setting) not in done
    ]
    context = get_context("spawn")
    with ProcessPoolExecutor(jobs, context, set_up, (1,)) as pool:
        waiting = {
            pool.submit(fit, seed=seed, **setting): (name, seed, setting)
            for name, seed, setting in todo
        }
        for number, future in enumerate(as_completed(waiting), 1):
            name, seed, setting = waiting[future]
            done[_key(name, seed, setting)] = figures = future.result()
            shown = ", ".join(f"{k} {v:.4g}" for k, v in figures.items())
            print(f"  {number}/{len(todo)}  {name}, seed {seed}: {shown}", flush=True)
            if results is not None:
                line = {"key": _key(name, seed, setting), **figures}
                with results.open("a") as file:
                    file.write(json.dumps(line) + os.linesep)
    return {
        name: [done[_key(name, seed, setting)] for seed in seeds]
        for name, setting in settings
    }


def _key(name: str, seed: int, setting: dict[str, Any]) -> str:
    return f"{name} | {seed} | {setting!r}"


def _read(results: Path | None) -> dict[str, Figures]:
    if results is None or not results.is_file():
        return {}
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    return {line.pop("key"): line for line in lines}
