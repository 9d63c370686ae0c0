"""Networks that something of torch, Lightning or torchao wrapped."""

import warnings

import torch
from torch.optim import swa_utils
from zoo_case import change_a_parameter, network, of_tables

STRINGS = ("strings",)
NOT_PICKLED = "torchao's modules hold a method of a partial, which is not pickled"


def compiled(X, y):
    return torch.compile(network(X, y), backend="eager")


def compiled_in_place(X, y):
    module = network(X, y)
    module.compile(backend="eager")
    return module


def data_parallel(X, y):
    return torch.nn.DataParallel(network(X, y))


def averaged(X, y):
    module = network(X, y)
    average = swa_utils.AveragedModel(module)
    average.update_parameters(module)
    return average


def moving_average(X, y):
    module = network(X, y)
    how = swa_utils.get_ema_multi_avg_fn(0.9)
    average = swa_utils.AveragedModel(module, multi_avg_fn=how)
    average.update_parameters(module)
    return average


def lightning(X, y):
    import numpy as np
    from lightning import Trainer
    from zoo_lightning import Lit

    inputs = torch.as_tensor(X, dtype=torch.float32)
    target = torch.as_tensor(np.unique(y, return_inverse=True)[1])
    data = torch.utils.data.TensorDataset(inputs, target)
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar")
    trainer = Trainer(
        max_epochs=15,
        accelerator="cpu",
        enable_model_summary=False,
        **dict.fromkeys(quiet, False),
    )
    module = Lit(network(X, y))
    with warnings.catch_warnings(action="ignore"):  # of Lightning about torch
        trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=50))
    return module  # which knows its trainer


def quantised(X, y):
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    module = network(X, y)
    quantize_(module, Int8WeightOnlyConfig())
    return module


def rescale(module):
    module[-1].weight.scale[0] *= 2


CASES = [
    *of_tables("compiled", compiled, kinds=STRINGS, change=change_a_parameter),
    *of_tables(
        "compiled-in-place", compiled_in_place, kinds=STRINGS, change=change_a_parameter
    ),
    *of_tables(
        "data-parallel", data_parallel, kinds=STRINGS, change=change_a_parameter
    ),
    *of_tables("averaged", averaged, kinds=STRINGS, change=change_a_parameter),
    *of_tables(
        "moving-average",
        moving_average,
        kinds=STRINGS,
        change=change_a_parameter,
        cannot={"pickle": "it holds a function of a function"},
    ),
    *of_tables("lightning", lightning, kinds=STRINGS, change=change_a_parameter),
    *of_tables(
        "torchao",
        quantised,
        kinds=STRINGS,
        change=rescale,
        cannot={"search": NOT_PICKLED, "pickle": NOT_PICKLED},
    ),
]
