"""A checksum of arrays at the speed of memory, other numbers in every process."""

from __future__ import annotations

import os

import numpy as np

# Words of a block, which has a sum of its own; words that are summed at a time, so that
# they stay in the cache.
_BLOCK, _CHUNK = 2**12, 2**15
# Few bytes stand for themselves.
_SMALL = 2**13
# Drawn anew in every process, so that no content can be made for them. Odd ones are
# invertible modulo 2**64: a single half of a word that changes shows for certain.
_OF_WORDS, _OF_HALVES = (
    np.frombuffer(os.urandom(8 * _BLOCK), dtype=np.uint64) | np.uint64(1)
    for _ in range(2)
)


def checksum(array: np.ndarray) -> bytes:
    """Return what tells contents apart in this process: 64 bits of each 32 KiB.

    Multilinear hashing of 32-bit words [1]_, three times as fast as SHA-256, which is
    for what leaves the process. Two blocks of other numbers have the same sum in one of
    2^63 processes, and in one of 2^32 if nothing but signs of floats differ.

    Parameters
    ----------
    array : ndarray
        Of numbers; its shape and dtype do not count.

    Returns
    -------
    bytes

    References
    ----------
    .. [1] D. Lemire, O. Kaser, "Strongly Universal String Hashing is Fast", The
       Computer Journal 57, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from skkd._utils.checksum import checksum
    >>> len(checksum(np.zeros(10_000))), len(checksum(np.zeros(2)))
    (24, 16)
    """
    raw = np.ascontiguousarray(array).reshape(-1)
    if raw.nbytes <= _SMALL:
        return raw.tobytes()
    raw = raw.view(np.uint8)
    rest = raw.size % 8
    words = raw[: raw.size - rest].view(np.uint64)
    n_blocks, n_left = divmod(len(words), _BLOCK)
    blocks = words[: len(words) - n_left].reshape(n_blocks, _BLOCK)
    step = _CHUNK // _BLOCK
    parts = [blocks[start : start + step] for start in range(0, n_blocks, step)]
    parts.append(words[None, len(words) - n_left :])
    halves = np.empty((step, _BLOCK), dtype=np.uint64)
    sums = [_sums(part, halves[: len(part), : part.shape[1]]) for part in parts]
    return np.concatenate(sums).tobytes() + raw[raw.size - rest :].tobytes()


def _sums(words: np.ndarray, halves: np.ndarray) -> np.ndarray:
    # With a factor of its own, the upper half is multiplied by two independent ones.
    np.right_shift(words, np.uint64(32), out=halves)
    n = words.shape[1]
    return words @ _OF_WORDS[:n] + halves @ _OF_HALVES[:n]
