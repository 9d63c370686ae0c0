"""The floor: the student alone, from labels, in a loop over slices of tensors.

No loader, no teacher, nothing recorded. Images and weights lie in channels_last, which
is the faster way for convolutions; ``precision="bf16"`` is torch's autocast.
"""

import torch
from torch.nn import functional as F


def prepare(task, seed, precision="fp32"):
    """Return the loop."""
    images = task.X.shape[1] > 1
    layout = torch.channels_last if images else torch.contiguous_format
    X, y = task.X.contiguous(memory_format=layout), task.y
    student = task.student(seed).to(memory_format=layout)
    half = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")

    def train():
        optimizer = task.new_optimizer(student)
        student.train()
        for _ in range(task.epochs):
            for rows in torch.randperm(len(X)).split(task.batch_size):
                optimizer.zero_grad()
                with half:
                    logits = student(X[rows])
                F.cross_entropy(logits.float(), y[rows]).backward()
                optimizer.step()
        return student

    return train
