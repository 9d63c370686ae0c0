"""Settings with which losses were published, as the guide to losses has them."""

from __future__ import annotations

from typing import Any

from skkd.losses._registry import LOSSES

# Beside the parameters of the losses themselves, whose defaults are as published.
_SETTINGS: dict[str, list[dict[str, Any]]] = {
    "kd": [{"temperature": 4.0, "alpha": 0.9}, {"temperature": 2.0, "alpha": 0.5}],
    "js": [{"temperature": 4.0, "alpha": 0.9}, {"temperature": 2.0, "alpha": 0.5}],
    "dkd": [{"temperature": 4.0, "alpha": 0.5}],
    "dist": [
        {"temperature": 1.0},
        {
            "temperature": 4.0,
            "distillation__beta": 2.0,
            "distillation__gamma": 2.0,
        },
    ],
    # 0.1 for the labels and 9 for the teacher, and 1 and 9 until 2024-03-10. The sums
    # of these, which SGD's steps are multiplied by, are no parameters of an estimator.
    "standardized_kd": [
        {"temperature": 2.0, "alpha": 9 / 9.1},
        {"temperature": 2.0, "alpha": 0.9},
    ],
    "hard": [{"alpha": 0.5}],
    "label_smoothing": [{"alpha": 0.1}],
    "virtual_teacher": [{"temperature": 20.0}],
}


def published_settings(name: str) -> list[dict[str, Any]]:
    """Return the settings with which a loss was published.

    Parameters
    ----------
    name : str
        Of the loss, such as "dkd".

    Returns
    -------
    list of dict
        Parameters of a DistilledClassifier, ``distillation__*`` among them.
    """
    own = {f"distillation__{k}": v for k, v in LOSSES[name]().get_params().items()}
    return [{**own, **setting} for setting in _SETTINGS.get(name, [{}])]
