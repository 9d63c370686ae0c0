"""What a teacher's pass over a million images takes, planned by a measured slice.

MobileNetV2 with random weights stands for a network of 1,000 classes; random images of
224 x 224 pixels, in this process. Kept are all logits in float32, all in float16, and
the 16 largest in float16. There is no bound.
"""

from typing import Any

import numpy as np
import torch
from common import Bounds, table
from torchvision.models import mobilenet_v2

from skkd.memory import LogitMemory, plan_logits

N_IMAGES = 10**6


def bench(args: Any, bounds: Bounds) -> None:
    """Measure and print."""
    n_slice = 16 if args.quick else 288
    torch.manual_seed(0)
    teacher = mobilenet_v2(num_classes=1000).eval()
    shape = (n_slice, 3, 224, 224)
    images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    memories = {
        "float32": LogitMemory(),
        "float16": LogitMemory(dtype="float16"),
        "float16, top_k=16": LogitMemory(dtype="float16", top_k=16),
    }
    rows = []
    for name, memory in memories.items():
        out = plan_logits(teacher, images, N_IMAGES, memory, classes=range(1000))
        hours, each = f"{out.seconds / 3600:.1f}", out.nbytes / out.n_samples
        rows.append([name, f"{out.nbytes / 1e9:.3f}", f"{each:,.0f}", hours])
    print(f"\n## A pass over {N_IMAGES:,} images, planned by {out.n_measured}\n")
    print(table(["logits", "GB", "bytes an image", "hours"], rows))
