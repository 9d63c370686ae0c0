#!/usr/bin/env bash
# skorch 1.4.0: what is set on a fitted net is shown, and is not what trains.
#
# Valid input: a net that was fitted, and set_params, as a search or a notebook calls it.
# Seen (torch 2.13.0, CPU):
#   set_params(optimizer=Adam)      raises "Something went wrong, please open an issue",
#                                   and net.optimizer is Adam all the same, while
#                                   net.optimizer_, which trains, is the old SGD
#   set_params(callbacks="disable") raises nothing; net.callbacks is "disable", and the
#                                   callbacks that were there go on being called
# For a net that is not initialized yet, both take effect.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet "torch==2.13.0" "skorch==1.4.0" "scikit-learn==1.9.1" 2>/dev/null
cat >"$folder/try.py" <<'PY'
import numpy as np
import torch
from skorch import NeuralNetClassifier

X = np.random.RandomState(0).randn(40, 4).astype("float32")
y = np.arange(40) % 2
module = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Softmax(dim=1))
net = NeuralNetClassifier(module, max_epochs=1, verbose=0, train_split=None).fit(X, y)
try:
    net.set_params(optimizer=torch.optim.Adam)
    print("no error")
except ValueError as error:
    print(str(error).partition(",")[0])
print("shown:", net.optimizer.__name__, "trains:", type(net.optimizer_).__name__)
net.set_params(callbacks="disable")
print("shown:", net.callbacks, "active:", len(net.callbacks_))
PY
"$folder/env/bin/python" "$folder/try.py" | tee "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
Something went wrong
shown: Adam trains: SGD
shown: disable active: 5
EXPECTED
