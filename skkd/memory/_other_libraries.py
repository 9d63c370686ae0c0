"""The content of models whose pickles do not tell it: by the names of their classes.

Nothing is imported for it: where there is such a model, its library is imported.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import torch

from skkd.memory._release import release_of
from skkd.memory._scripts import content_of_script

# Without influence on predictions, and not to be pickled: what `module.compile()`
# makes, how weights are averaged, what trained a module of Lightning.
_NOT_CONTENT = {
    "torch.nn.modules.module.Module": {"_compiled_call_impl"},
    "torch.optim.swa_utils.AveragedModel": {"avg_fn", "multi_avg_fn"},
    "lightning.pytorch.core.module.LightningModule": {"_trainer", "_fabric"},
    "pytorch_lightning.core.module.LightningModule": {"_trainer", "_fabric"},
}
# Of a torch.fx.GraphModule: what `code` says, and how to edit the graph.
_OF_GRAPHS = frozenset(
    {
        *("_graph", "_code", "_lineno_map", "_prologue_start", "_tracer_cls"),
        *("_tracer_extras", "_graphmodule_cls_name", "meta", "_erase_node_hooks"),
        *("_create_node_hooks", "_replace_hooks", "_deepcopy_hooks", "validate_inputs"),
        *("train", "eval"),  # those of torch.export raise
    }
)

_TREES = [
    f"sklearn.neighbors._{module}.BinaryTree{bits}"
    for module in ("kd_tree", "ball_tree")
    for bits in (32, 64)
]
_WITH_KWARGS = ("_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs")


def state_of_module(module: torch.nn.Module, state: dict[str, Any]) -> dict[str, Any]:
    """Return `state`, attributes of a module, without what has no influence."""
    ignored = {
        key
        for base in type(module).__mro__
        for key in _NOT_CONTENT.get(f"{base.__module__}.{base.__qualname__}", ())
    }
    return {key: value for key, value in state.items() if key not in ignored}


def _of_booster(booster: Any) -> Any:
    # Its pickle has the number of threads, and what the last prediction has set.
    own = {key: v for key, v in sorted(vars(booster).items()) if key != "handle"}
    return "booster", type(booster), bytes(booster.save_raw("ubj")), own


def _of_catboost(model: Any) -> Any:
    # The order of what it writes is another one after a round trip, and then stays.
    return "catboost", type(model), model.copy().__getstate__()


def _of_processor(processor: Any) -> Any:
    # Its parts are equal after use, and not the very same.
    return "processor", type(processor), processor.to_json_string()


def _of_session(session: Any) -> Any:
    if not isinstance(session._model_bytes, bytes):
        raise ValueError(
            "an InferenceSession does not hold the file that it was made from, which "
            "may be another one by now. Pass the path of the file as the teacher, or "
            "InferenceSession(Path(file).read_bytes())"
        )
    return "session", session._model_bytes, session.get_providers()


def _of_graph(module: Any) -> Any:
    state = {k: v for k, v in sorted(vars(module).items()) if k not in _OF_GRAPHS}
    state.pop("training", None)
    for key, parts in state.items():
        if key.endswith("_hooks") or key == "_modules":
            state[key] = {k: part for k, part in parts.items() if not _checks(part)}
    kept = {*state["_forward_hooks"], *state["_forward_pre_hooks"]}
    for key in ("_forward_hooks_always_called", *_WITH_KWARGS):
        state[key] = {k: value for k, value in state[key].items() if k in kept}
    called = [node.target for node in module.graph.nodes if node.op == "call_function"]
    own = {f for f in called if isinstance(f, types.FunctionType)}
    functions = sorted(own, key=lambda f: f"{f.__module__}.{f.__qualname__}")
    return "graph", module.code, functions, state_of_module(module, state)


def _checks(part: Any) -> bool:
    """Tell whether torch.export made a hook or a part, which checks the inputs."""
    made_by = type(part) if isinstance(part, torch.nn.Module) else part
    return made_by.__module__.startswith(("torch.export._unlift", "torch._export."))


def _of_program(program: Any) -> Any:
    parts = program.graph_module.named_modules()
    code = [(name, part.code) for name, part in parts if hasattr(part, "code")]
    tensors = {**program.state_dict, **program.constants}
    inputs = f"{program.graph_signature} {program.range_constraints}"
    return "program", code, inputs, sorted(tensors.items())


# What else the methods fit, evaluate and predict of a Keras model leave in it.
_OF_KERAS_TRAINING = frozenset(
    {
        *("history", "_eval_epoch_iterator", "_jax_state"),
        *("stop_training", "stop_evaluating", "stop_predicting"),
    }
)


def _of_keras(model: Any) -> Any:
    layers = [*model._flatten_layers()]
    return (
        *("keras", type(model), [type(layer) for layer in layers]),
        *(_as_lists(model.get_config()), model.get_weights(), _kept_by_layers(layers)),
    )


def _as_lists(config: Any) -> Any:
    """Return a config such as it is after a round trip through JSON."""
    if isinstance(config, dict):
        return {key: _as_lists(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return [_as_lists(value) for value in config]
    return config


def _kept_by_layers(layers: list[Any]) -> list[Any]:
    """Return what layers of a user's own hold besides weights and parts."""
    keras = sys.modules["keras"]
    trained = keras.Sequential()
    trained.compile("sgd", "mse")
    of_every_layer = {
        *vars(keras.layers.Layer()),
        *vars(keras.Model()),
        *vars(trained),
        *_OF_KERAS_TRAINING,
    }
    parts = (keras.layers.Layer, keras.Variable)
    return [
        (key, value)
        for layer in layers
        if release_of(type(layer).__module__) is None
        for key, value in sorted(vars(layer).items())
        if key not in of_every_layer and not isinstance(value, parts)
    ]


def _of_bunch(bunch: Any) -> Any:
    # Of its attributes an empty one is lost in a round trip.
    return "bunch", type(bunch), dict(bunch)


def _of_tree(tree: Any) -> Any:
    # Among its arrays and settings it counts what it was asked.
    state = tree.__getstate__()
    return "tree", type(tree), state[:7], state[11:]


CONTENT_BY_NAME: dict[str, Callable[[Any], Any]] = {
    "sklearn.utils._bunch.Bunch": _of_bunch,
    **dict.fromkeys(_TREES, _of_tree),
    "xgboost.core.Booster": _of_booster,
    "catboost.core.CatBoost": _of_catboost,
    "keras.src.models.model.Model": _of_keras,
    "transformers.image_processing_base.ImageProcessingMixin": _of_processor,
    "onnxruntime.capi.onnxruntime_inference_collection.InferenceSession": _of_session,
    "torch.jit._script.ScriptModule": content_of_script,
    "torch.jit._script.ScriptFunction": content_of_script,
    "torch.jit.torch.jit.ScriptFunction": content_of_script,
    "torch.fx.graph_module.GraphModule": _of_graph,
    "torch.export.exported_program.ExportedProgram": _of_program,
}
