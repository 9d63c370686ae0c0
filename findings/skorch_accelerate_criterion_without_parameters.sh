#!/usr/bin/env bash
# skorch 1.4.0: AccelerateMixin under torchrun fails with almost every criterion.
#
# Valid input: the example of its documentation, class AcceleratedNet(AccelerateMixin,
# NeuralNetClassifier), with the default criterion, NLLLoss.
# Seen (torch 2.13.0, accelerate 1.15.0, CPU): started by `python` it fits; started by
# torchrun, in one process or in two, `initialize` passes the criterion to
# `accelerator.prepare`, as it does the module, and torch refuses to wrap a module that
# has no parameters. Most losses of torch.nn have none.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet "skorch==1.4.0" "accelerate==1.15.0" "torch==2.13.0" \
    "scikit-learn==1.9.1" "numpy==2.4.6" 2>/dev/null
cat >"$folder/try.py" <<'PY'
import numpy as np
import torch
from accelerate import Accelerator
from skorch import NeuralNetClassifier
from skorch.hf import AccelerateMixin


class AcceleratedNet(AccelerateMixin, NeuralNetClassifier):
    """As in skorch's documentation."""


X = np.random.RandomState(0).randn(40, 4).astype("float32")
y = np.arange(40) % 2
module = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Softmax(dim=1))
accelerator = Accelerator(cpu=True)
net = AcceleratedNet(
    module,
    accelerator=accelerator,
    max_epochs=1,
    train_split=None,
    callbacks="disable",
)
try:
    net.fit(X, y)
    message = "fitted"
except RuntimeError as error:
    message = str(error).partition(".")[0]
accelerator.print(accelerator.num_processes, message)
PY
export PATH="$folder/env/bin:$PATH" OMP_NUM_THREADS=1 HF_HOME="$folder"
cd "$folder"
{
    python try.py
    for n in 1 2; do torchrun --standalone --nproc-per-node $n try.py; done
} 2>"$folder/errors" | tee "$folder/seen" || cat "$folder/errors"
diff "$folder/seen" - <<'EXPECTED'
1 fitted
1 DistributedDataParallel is not needed when a module doesn't have any parameter that requires a gradient
2 DistributedDataParallel is not needed when a module doesn't have any parameter that requires a gradient
EXPECTED
