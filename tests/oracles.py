"""Float64 NumPy and SciPy answers, written without looking at the torch code."""

import numpy as np
from scipy.special import log_softmax, logsumexp, softmax


def kd(student, teacher, temperature):
    """T^2 KL(teacher || student), each row: (n,)."""
    log_p = log_softmax(np.asarray(teacher, dtype=np.float64) / temperature, axis=1)
    log_q = log_softmax(np.asarray(student, dtype=np.float64) / temperature, axis=1)
    return temperature**2 * (np.exp(log_p) * (log_p - log_q)).sum(axis=1)


def kd_gradient(student, teacher, temperature):
    """T (q - p), the derivative of ``kd`` by the student's logits: (n, c)."""
    p = softmax(np.asarray(teacher, dtype=np.float64) / temperature, axis=1)
    q = softmax(np.asarray(student, dtype=np.float64) / temperature, axis=1)
    return temperature * (q - p)


def hard_label(student, teacher, temperature):
    """-log q of the teacher's first best class, each row: (n,)."""
    log_q = log_softmax(np.asarray(student, dtype=np.float64), axis=1)
    return -log_q[np.arange(len(log_q)), np.argmax(teacher, axis=1)]


def hard_label_gradient(student, teacher, temperature):
    """Return q - onehot: (n, c)."""
    q = softmax(np.asarray(student, dtype=np.float64), axis=1)
    return q - np.eye(q.shape[1])[np.argmax(teacher, axis=1)]


def logit_mse(student, teacher, temperature):
    """Half the squared distance, each row: (n,)."""
    gap = np.asarray(student, dtype=np.float64) - np.asarray(teacher, dtype=np.float64)
    return np.linalg.norm(gap, axis=1) ** 2 / 2


def logit_mse_gradient(student, teacher, temperature):
    """Return the difference of the logits: (n, c)."""
    return np.asarray(student, dtype=np.float64) - np.asarray(teacher, dtype=np.float64)


def moments(x, weight=None):
    """Weighted mean and population standard deviation along axis 1, as (d,), (d,)."""
    x = np.asarray(x, dtype=np.float64)
    weight = np.ones(len(x)) if weight is None else np.asarray(weight, np.float64)
    weight = np.broadcast_to(weight.reshape(-1, *[1] * (x.ndim - 1)), x.shape)
    # One contiguous row a feature: NumPy then sums in pairs, which loses no digits.
    rows, w = (
        np.ascontiguousarray(np.moveaxis(a, 1, 0)).reshape(x.shape[1], -1)
        for a in (x, weight)
    )
    total = w.sum(axis=1)
    mean = (w * rows).sum(axis=1) / total
    centred = rows - mean[:, None]
    return mean, np.sqrt((w * centred**2).sum(axis=1) / total)


def ensemble(logits, weights=None, temperatures=None, average="proba"):
    """log sum_i w_i softmax(z_i / T_i), or sum_i w_i z_i / T_i: (n, c)."""
    n = len(logits)
    w = np.ones(n) if weights is None else np.asarray(weights, np.float64)
    t = np.ones(n) if temperatures is None else np.asarray(temperatures, np.float64)
    soft = [np.asarray(z, np.float64) / t_i for z, t_i in zip(logits, t, strict=True)]
    if average == "logits":
        return sum(w_i * z for w_i, z in zip(w, soft, strict=True)) / w.sum()
    log_p = np.stack([log_softmax(z, axis=1) for z in soft])
    return logsumexp(log_p, axis=0, b=(w / w.sum())[:, None, None])
