"""Random features and their edge cases, for the tests of losses on features."""

import numpy as np
import torch

LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


def features(n, student, teacher, dtype=torch.float64, seed=0):
    rng = np.random.default_rng(seed)
    s, t = rng.normal(size=(n, *student)), rng.normal(size=(n, *teacher))
    return torch.tensor(s).to(dtype).requires_grad_(), torch.tensor(t).to(dtype)


def gradient(out, student):
    (got,) = torch.autograd.grad(out.sum(), student)
    return got


EDGES = {
    "zeros": lambda f: torch.zeros_like(f),
    "constant": lambda f: torch.full_like(f, 2.0),
    "identical rows": lambda f: f[:1].expand_as(f).clone(),
    "two alike": lambda f: torch.cat([f[:1], f[:-1]]),
    "one zero": lambda f: torch.cat([torch.zeros_like(f[:1]), f[1:]]),
    "opposite": lambda f: torch.cat([-f[:1], f[:1], f[2:]]),
    "tiny": lambda f: 1e-12 * f,
    "as it is": lambda f: f,
}
