"""Networks as programs: of torch.jit, torch.export and ONNX Runtime; and Keras."""

import warnings

import torch
from zoo_case import change_a_parameter, network, of_tables

STRINGS = ("strings",)
NOT_PICKLED = "torch has a format of its own for it, and no pickle"


def traced(X, y):
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        return torch.jit.trace(network(X, y), torch.zeros(2, 4))


def scripted(X, y):
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        return torch.jit.script(network(X, y))


def exported(X, y):
    rows = ({0: torch.export.Dim("rows")},)
    return torch.export.export(network(X, y), (torch.zeros(2, 4),), dynamic_shapes=rows)


def module_of_export(X, y):
    return exported(X, y).module()


def change_a_program(program):
    with torch.no_grad():
        program.state_dict["3.bias"].add_(1)


NO_PICKLE = {"pickle": NOT_PICKLED}
KINDS = {
    "traced": (traced, change_a_parameter),
    "scripted": (scripted, change_a_parameter),
    "exported": (exported, change_a_program),
    "exported-module": (module_of_export, change_a_parameter),
}
CASES = [
    case
    for name, (make, change) in KINDS.items()
    for case in of_tables(
        name,
        make,
        kinds=STRINGS,
        change=change,
        # Searches send them in torch's format, of which the module has none.
        cannot=NO_PICKLE | ({"search": NOT_PICKLED} if "module" in name else {}),
    )
]
