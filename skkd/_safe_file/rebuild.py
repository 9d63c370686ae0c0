"""From the content of a file to a fitted student."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from skkd._estimator.build_student import build_student
from skkd._estimator.classifier import DistilledClassifier
from skkd._formats.container import FileRefused, damaged
from skkd._safe_file import probe
from skkd._safe_file.facts import history_from_json, set_facts
from skkd._safe_file.params import params_from_json
from skkd._safe_file.weights import fill, weights_from_tensors
from skkd._utils.not_stored import NotStored
from skkd._utils.rng import preserved_rng
from skkd.students._outline import BUILDERS, outline


def rebuild_student(
    content: Mapping[str, Any],
    tensors: dict[str, torch.Tensor],
    name: str,
    module: Any = None,
    given: Mapping[str, Any] | None = None,
) -> DistilledClassifier:
    """Return the fitted student that a file describes.

    `module` and `given` are parameters in place of those of the file.
    """
    builder, described = content["builder"], str(content["described"])
    if builder is None and module is None:
        raise FileRefused(
            f"{name} holds a student that is none of skkd.students, "
            f"{described}, and a file holds no code. Pass what builds it: "
            "load_student(path, module=...), a class or a function of n_classes and "
            "input_shape, as the student was given it."
        )
    own = module is None
    params = params_from_json(content["params"], tensors, given or {}, name, own)
    if content["module_is_none"] and own:
        net = DistilledClassifier(**params)
    else:
        net = DistilledClassifier(BUILDERS[builder] if own else module, **params)
    set_facts(net, content["facts"], tensors)
    state = weights_from_tensors(tensors, content["layout"])
    network = (
        _own_network(builder, content["config"], state, name)
        if own
        else _foreign_network(net, state, name, described)
    )
    with preserved_rng():
        _initialize(net, network, content)
    net.history_ = history_from_json(content["history"])
    return net


def _own_network(
    builder: str, config: Mapping[str, Any], state: dict[str, torch.Tensor], name: str
) -> torch.nn.Module:
    """Build a network of :mod:`skkd.students` around its weights."""
    config = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    with preserved_rng():
        module = outline(builder, config, state)
    try:
        module.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise damaged(name, f"the weights of {builder} differ: {error}") from None
    return module


def _foreign_network(
    net: Any, state: dict[str, torch.Tensor], name: str, described: str
) -> torch.nn.Module:
    """Build a network by what the reader passed, and fill in the weights."""
    try:
        with preserved_rng():
            module = build_student(net)
        fill(module, state)
    except Exception as error:  # the factory is the reader's
        raise FileRefused(
            f"{name} holds {described}, and module= does not build it: {error} Pass "
            "what built the student that was saved."
        ) from error
    return module


def _initialize(net: Any, module: torch.nn.Module, content: Mapping[str, Any]) -> None:
    """Do what skorch's `initialize` does, with a network that is there already."""
    net._initialize_virtual_params()
    if isinstance(net.callbacks, NotStored):
        net.callbacks_ = []
    else:
        net._initialize_callbacks()
    params = vars(net)
    wanted, params["module"] = params["module"], lambda **kwargs: module
    try:
        net._initialize_module()
    finally:
        params["module"] = wanted
    if content["trimmed"]:
        net._trimmed_for_prediction = True
        net.criterion_ = net.optimizer_ = None
    else:
        _initialize_training(net, content["gives_probabilities"])
    net.module_.eval()
    net.channels_last_ = content["channels_last"]
    taught_by = content["taught_by"]
    net.teacher_ = None if taught_by is None else NotStored(str(taught_by))
    net.cache_info_, net.teacher_findings_ = None, []
    net.initialized_ = True


def _initialize_training(net: Any, gives_probabilities: bool) -> None:
    """Make criterion and optimizer; those that the file lacks have to be set first."""
    if isinstance(net.criterion, NotStored):
        kind = torch.nn.NLLLoss if gives_probabilities else torch.nn.CrossEntropyLoss
        net.criterion_ = kind()
    else:
        net._initialize_criterion()
    lacking = (k for k, v in vars(net).items() if isinstance(v, NotStored))
    if not any(name.startswith("optimizer") for name in lacking):
        net._initialize_optimizer()


def check_answers(net: Any, tensors: Mapping[str, torch.Tensor], name: str) -> None:
    """Raise if a student does not answer as the one that was saved."""
    if "answers" not in tensors:
        return
    now = probe.answers(net)
    if now is None or probe.differ(net, now, tensors["answers"].numpy()):
        raise FileRefused(
            f"{name} holds what its student answered to some samples, and the one that "
            "was built answers otherwise: module= builds another network of the same "
            "shapes, or a library has changed. Pass what built the student that was "
            "saved, or install the versions that the file names."
        )
