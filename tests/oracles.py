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


def complex_step(value, student):
    """Differentiate sum(value(student)) to the last digit: (n, c).

    Without a difference of two nearly equal numbers nothing is lost to rounding.
    """
    student = np.asarray(student, dtype=np.complex128)
    gradient = np.empty(student.shape)
    for index in np.ndindex(student.shape):
        moved = student.copy()
        moved[index] += 1e-30j
        gradient[index] = np.sum(value(moved)).imag / 1e-30
    return gradient


def _log_softmax(z, axis=-1):
    # SciPy's takes no complex numbers.
    z = z - z.real.max(axis=axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))


def _kl(log_p, log_q):
    return (np.exp(log_p) * (log_p - log_q)).sum(axis=-1)


def _as_logits(z):
    z = np.asarray(z)
    return z if np.iscomplexobj(z) else z.astype(np.float64)


def dkd(student, teacher, y, temperature, alpha=1.0, beta=8.0):
    """T^2 (alpha TCKD + beta NCKD), each row: (n,)."""
    out = []
    for z_s, z_t, c in zip(_as_logits(student), _as_logits(teacher), y, strict=True):
        c = np.argmax(z_t) if c < 0 else c
        pair = []
        for z in (z_s / temperature, z_t / temperature):
            log_p, rest = _log_softmax(z), np.delete(z, c)
            peak = rest.real.max()
            log_rest = peak + np.log(np.exp(rest - peak).sum())
            log_all = z[c] - log_p[c]
            binary = np.array([log_p[c], log_rest - log_all])
            pair.append((binary, _log_softmax(rest)))
        (binary_s, rest_s), (binary_t, rest_t) = pair
        tckd, nckd = _kl(binary_t, binary_s), _kl(rest_t, rest_s)
        out.append(temperature**2 * (alpha * tckd + beta * nckd))
    return np.array(out)


def dist(student, teacher, y, temperature, beta=1.0, gamma=1.0):
    """T^2 (beta (1 - mean row correlation) + gamma (1 - that of columns)): ()."""
    p_s = np.exp(_log_softmax(_as_logits(student) / temperature))
    p_t = np.exp(_log_softmax(_as_logits(teacher) / temperature))
    loss = beta * (1 - np.mean([_pearson(a, b) for a, b in zip(p_s, p_t, strict=True)]))
    if len(p_s) > 1:
        columns = [_pearson(a, b) for a, b in zip(p_s.T, p_t.T, strict=True)]
        loss = loss + gamma * (1 - np.mean(columns))
    return temperature**2 * loss


def _pearson(a, b):
    if any(np.ptp(v.real) <= 1e-14 * np.abs(v).max() for v in (a, b)):
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())


def standardized(inner, student, teacher, y, temperature):
    """Return the inner loss of z-scores, which are 0 where the row is constant."""
    scores = []
    for z in (_as_logits(student), _as_logits(teacher)):
        centred = z - z.mean(axis=1, keepdims=True)
        std = np.sqrt((centred**2).mean(axis=1, keepdims=True))
        constant = np.ptp(z.real, axis=1, keepdims=True) == 0
        scores.append(np.where(constant, 0, centred) / np.where(constant, 1, std))
    return inner(*scores, y, temperature)


def kl(student, teacher, y, temperature):
    """``kd``, of complex numbers too: (n,)."""
    log_p, log_q = (
        _log_softmax(_as_logits(z) / temperature) for z in (teacher, student)
    )
    return temperature**2 * _kl(log_p, log_q)


def jensen_shannon(student, teacher, y, temperature):
    """T^2 (H(m) - (H(p) + H(q)) / 2), by entropies as Lin defines it: (n,)."""
    p = np.exp(_log_softmax(_as_logits(teacher) / temperature))
    q = np.exp(_log_softmax(_as_logits(student) / temperature))
    return temperature**2 * (_entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2)


def _entropy(p):
    return -(p * np.log(np.where(p.real == 0, 1, p))).sum(axis=1)


def label_smoothing(student, teacher, y, temperature):
    """KL(uniform || student), each row: (n,)."""
    log_q = _log_softmax(_as_logits(student))
    return -np.log(log_q.shape[1]) - log_q.mean(axis=1)


def virtual_teacher(student, teacher, y, temperature, correct=0.99):
    """T^2 KL of the powers of the virtual teacher's probabilities, each row: (n,)."""
    log_q = _log_softmax(_as_logits(student) / temperature)
    n_classes = log_q.shape[1]
    p = np.full(log_q.shape, (1 - correct) / (n_classes - 1))
    p[np.arange(len(p)), y] = correct
    p = p ** (1 / temperature)
    p /= p.sum(axis=1, keepdims=True)
    return temperature**2 * _kl(np.log(p), log_q)


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
