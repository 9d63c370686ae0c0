#!/usr/bin/env bash
# torch 2.13.0: on CPUs with bfloat16 the gradient of a depthwise convolution is slower in
# bfloat16 than in float32, while the convolution itself is faster.
#
# Valid input: MobileNets' and EfficientNets' layers, kernels 3 and 5, stride 1 and 2, in
# channels_last, batches of 64, one thread.
# Seen (AMD EPYC with avx512_bf16): forward takes 0.3 to 0.7 of float32's time, backward
# 2 to 11 times of it for a stride of 2 or a kernel of 5. So training such a network under
# autocast is slower than without, although a ResNet's is 1.5 to 2 times as fast. On a CPU
# without bfloat16 in hardware the script has nothing to show, and says so.
set -euo pipefail
if ! grep -qE "avx512_bf16|amx_bf16" /proc/cpuinfo; then
    echo "no bfloat16 in this CPU: nothing to show"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet "torch==2.13.0" "numpy==2.4.6" 2>/dev/null
cat >"$folder/try.py" <<'PY'
import time

import torch

torch.set_num_threads(1)
print("torch", torch.__version__.partition("+")[0])
LAYERS = {"strided": (96, 48, 3, 2), "kernel of 5": (240, 12, 5, 1)}


def seconds(channels, side, kernel, stride, dtype):
    """Return the least of five times of processor, forward and backward."""
    conv = torch.nn.Conv2d(
        *(channels, channels, kernel, stride, kernel // 2), groups=channels, bias=False
    )
    conv = conv.to(dtype=dtype, memory_format=torch.channels_last)
    x = torch.randn(64, channels, side, side, dtype=dtype, requires_grad=True)
    x_last = x.to(memory_format=torch.channels_last)
    g = torch.randn_like(conv(x_last))
    times = []
    for _ in range(6):
        start = time.process_time()
        out = conv(x_last)
        middle = time.process_time()
        out.backward(g)
        times.append((middle - start, time.process_time() - middle))
    return [min(part) for part in zip(*times[1:])]


for name, layer in LAYERS.items():
    plain, half = (seconds(*layer, dtype) for dtype in (torch.float32, torch.bfloat16))
    forward, backward = (b / a for a, b in zip(plain, half))
    print(f"{name}: forward {forward:.2f}, backward {backward:.2f} of float32's time")
    assert forward < 1, "bfloat16 is slower forward as well"
    assert backward > 1.5, "bfloat16 is no longer slower backward"
PY
OMP_NUM_THREADS=1 "$folder/env/bin/python" "$folder/try.py"
