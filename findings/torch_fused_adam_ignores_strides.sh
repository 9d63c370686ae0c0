#!/usr/bin/env bash
# torch 2.14.1: on a CPU, Adam(fused=True) ignores strides, and steps wrongly without a word.
#
# Valid input: a parameter that is a slice, as a part of a larger tensor is, or a weight
# whose layout `module.to(memory_format=torch.channels_last)` changed after the first step.
# Seen (CPU): the plain Adam steps all numbers, whatever their layout. The fused one pairs
# the numbers of parameter, gradient and averages by their place in memory: it writes to
# numbers that are not part of the slice, leaves others of the slice as they were, and
# mixes up the averages of the convolution. No error, no warning.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet "torch==2.14.1" "numpy==2.4.6" 2>/dev/null
cat >"$folder/try.py" <<'PY'
import torch


def of_a_slice(fused):
    """Step every second of six numbers."""
    whole = torch.zeros(6)
    part = torch.nn.Parameter(whole[::2])
    part.grad = torch.ones(3)
    torch.optim.Adam([part], lr=1.0, fused=fused).step()
    return [round(number, 3) for number in whole.tolist()]


def of_a_convolution(fused):
    """Step, lay the weights out anew, and step again."""
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(4, 4, 3)
    optimizer = torch.optim.Adam(conv.parameters(), lr=0.1, fused=fused)
    for _ in range(2):
        optimizer.zero_grad()
        conv(torch.randn(2, 4, 8, 8)).square().sum().backward()
        optimizer.step()
        conv.to(memory_format=torch.channels_last)
    return conv.weight.detach()


print("plain:", of_a_slice(False))
print("fused:", of_a_slice(True))
apart = (of_a_convolution(False) - of_a_convolution(True)).abs().max().item()
print("weights of the convolution differ by more than 0.01:", apart > 0.01)
PY
"$folder/env/bin/python" "$folder/try.py" | tee "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
plain: [-1.0, 0.0, -1.0, 0.0, -1.0, 0.0]
fused: [-1.0, -1.0, -1.0, 0.0, 0.0, 0.0]
weights of the convolution differ by more than 0.01: True
EXPECTED
