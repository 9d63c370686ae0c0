"""Float64 NumPy and SciPy answers of the losses on features, one loop at a time."""

import math
from itertools import product

import numpy as np
from scipy.special import expit


def differences(function, x, step=1e-6):
    """Central differences of a scalar function: the gradient, shaped as ``x``."""
    x = np.array(x, dtype=np.float64)
    gradient = np.empty_like(x)
    for at in np.ndindex(*x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[at] += step
        behind[at] -= step
        gradient[at] = (function(ahead) - function(behind)) / (2 * step)
    return gradient


def pooled(maps, height, width):
    """Mean of each cell; neighbouring cells share the rows they both touch."""
    n, c, h, w = maps.shape
    out = np.empty((n, c, height, width))
    for i, j in product(range(height), range(width)):
        rows = slice(i * h // height, math.ceil((i + 1) * h / height))
        columns = slice(j * w // width, math.ceil((j + 1) * w / width))
        out[:, :, i, j] = maps[:, :, rows, columns].mean(axis=(2, 3))
    return out


def to_one_size(student, teacher):
    size = [
        min(a, b) for a, b in zip(student.shape[2:], teacher.shape[2:], strict=True)
    ]
    return pooled(student, *size), pooled(teacher, *size)


def fitnet(student, teacher):
    """Mean squared difference, each row: (n,)."""
    if student.ndim == 4:
        student, teacher = to_one_size(student, teacher)
    return np.array(
        [((s - t) ** 2).mean() for s, t in zip(student, teacher, strict=True)]
    )


def regressed(features, weight, bias):
    """Linear regression of maps (n, C, H, W), or along the last axis."""
    if features.ndim == 4:
        weight = weight.reshape(weight.shape[:2])
        return np.einsum("oc,nchw->nohw", weight, features) + bias[:, None, None]
    return features @ weight.T + bias


def attention(student, teacher):
    """Mean squared difference of the normalised maps, each row: (n,)."""
    student, teacher = to_one_size(student, teacher)

    def normalised(maps):
        q = (maps**2).sum(axis=0).ravel()
        return q / np.linalg.norm(q) if q.any() else q

    pairs = zip(student, teacher, strict=True)
    return np.array([((normalised(s) - normalised(t)) ** 2).mean() for s, t in pairs])


def huber(a, b):
    gap = abs(a - b)
    return 0.5 * gap**2 if gap < 1 else gap - 0.5


def rkd_distance(student, teacher):
    """Huber's gap of the distances over their mean, over all n^2 pairs."""

    def distances(rows):
        n = len(rows)
        d = np.array([[np.linalg.norm(a - b) for b in rows] for a in rows])
        mean = d[~np.eye(n, dtype=bool)].mean() if n > 1 else 0
        return d / mean if mean > 0 else d

    n = len(student)
    d_s, d_t = (distances(x.reshape(n, -1)) for x in (student, teacher))
    return np.mean([huber(d_s[at], d_t[at]) for at in np.ndindex(n, n)])


def rkd_angle(student, teacher):
    """Huber's gap of the cosines at row j between rows i and k, over all n^3."""

    def cosine(rows, i, j, k):
        a, b = rows[i] - rows[j], rows[k] - rows[j]
        size = np.linalg.norm(a) * np.linalg.norm(b)
        return a @ b / size if size > 0 else 0.0

    n = len(student)
    s, t = student.reshape(n, -1), teacher.reshape(n, -1)
    triplets = list(product(range(n), repeat=3))
    return np.mean([huber(cosine(s, *at), cosine(t, *at)) for at in triplets])


def rkd(student, teacher, distance=25.0, angle=50.0):
    return distance * rkd_distance(student, teacher) + angle * rkd_angle(
        student, teacher
    )


def similarity(student, teacher):
    """Mean squared difference of the normalised products of rows."""

    def normalised(rows):
        rows = rows.reshape(len(rows), -1)
        gram = [np.array([a @ b for b in rows]) for a in rows]
        return np.array([g / np.linalg.norm(g) if g.any() else g for g in gram])

    n = len(student)
    return ((normalised(student) - normalised(teacher)) ** 2).sum() / n**2


def pkt(student, teacher):
    """Mean of p_t log(p_t / p_s) over pairs, each with 1e-7 added."""

    def neighbours(rows):
        rows = rows.reshape(len(rows), -1)
        out = np.empty((len(rows), len(rows)))
        for i, j in np.ndindex(*out.shape):
            size = np.linalg.norm(rows[i]) * np.linalg.norm(rows[j])
            out[i, j] = (1 + (rows[i] @ rows[j] / size if size > 0 else 0)) / 2
        return out / out.sum(axis=1, keepdims=True)

    p_s, p_t = neighbours(student), neighbours(teacher)
    return (p_t * np.log((p_t + 1e-7) / (p_s + 1e-7))).mean()


def embedded(features, weight, bias):
    """Linear embedding of unit length: (n, d)."""
    v = features.reshape(len(features), -1) @ weight.T + bias
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def crd_z(v, memory, rows, negatives, tau):
    """Number of rows times the mean of exp(v m / tau) over all that is compared."""
    exps = [
        math.exp(v[i] @ memory[j] / tau)
        for i in range(len(rows))
        for j in [rows[i], *negatives[i]]
    ]
    return len(memory) * np.mean(exps)


def crd_one_way(v, memory, rows, negatives, tau, z):
    """-log h of the positive, -log(1 - h) of the negatives, each row: (n,)."""
    noise = negatives.shape[1] / len(memory)
    out = np.empty(len(rows))
    for i, row in enumerate(rows):
        p = np.exp(memory[[row, *negatives[i]]] @ v[i] / tau) / z
        h = p / (p + noise)
        # The logistic form, so that two ways of writing h are held side by side.
        np.testing.assert_allclose(h, expit(np.log(p / noise)), rtol=1e-9)
        out[i] = -np.log(h[0]) - np.log(1 - h[1:]).sum()
    return out


def crd_moved(memory, v, rows, momentum):
    """The memory after a batch of distinct rows."""
    memory = memory.copy()
    for row, new in zip(rows, v, strict=True):
        mixed = momentum * memory[row] + (1 - momentum) * new
        memory[row] = mixed / np.linalg.norm(mixed)
    return memory
