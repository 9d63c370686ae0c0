#!/usr/bin/env bash
# Adagrad of torch 2.13.0 ignores initial_accumulator_value of a group of parameters.
#
# Valid input: "passing dicts of parameters, each with its own options" (Per-parameter
# options in the documentation of torch.optim). Seen (Linux, Python 3.11, CPU), without
# a warning:
#   the group holds the value, 5.0, and the sum of its parameters starts at 0.0
#   given to the optimizer itself the same value is used: the sum starts at 5.0
# The state is filled in __init__ from that argument alone. What follows: the first steps
# of the group are lr each, as without the option.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet "torch==2.13.0" "numpy==2.2.6" 2>/dev/null
cat >"$folder/try.py" <<'PY'
import warnings

import torch

warnings.simplefilter("error")
for kind in ("group", "optimizer"):
    weight = torch.zeros(1, requires_grad=True)
    option = {"initial_accumulator_value": 5.0}
    if kind == "group":
        optimizer = torch.optim.Adagrad([{"params": [weight], **option}], lr=0.1)
    else:
        optimizer = torch.optim.Adagrad([weight], lr=0.1, **option)
    held = optimizer.param_groups[0]["initial_accumulator_value"]
    start = optimizer.state[weight]["sum"].item()
    weight.sum().backward()
    optimizer.step()
    moved = f"{weight.item():.4f}"
    print(kind, "holds", held, "starts at", start, "first step", moved)
PY
"$folder/env/bin/python" "$folder/try.py" | tee "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
group holds 5.0 starts at 0.0 first step -0.1000
optimizer holds 5.0 starts at 5.0 first step -0.0408
EXPECTED
