"""Random changes of the bytes of a file, as disks, programs and people make them."""

import numpy as np


def flip_bit(rng, content):
    place = rng.integers(len(content))
    changed = bytearray(content)
    changed[place] ^= 1 << rng.integers(8)
    return bytes(changed)


def other_byte(rng, content):
    place = rng.integers(len(content))
    return content[:place] + rng.bytes(1) + content[place + 1 :]


def other_block(rng, content):
    start, stop = _span(rng, content)
    return content[:start] + rng.bytes(stop - start) + content[stop:]


def zeros(rng, content):
    start, stop = _span(rng, content)
    return content[:start] + bytes(stop - start) + content[stop:]


def cut(rng, content):
    return content[: rng.integers(len(content))]


def left_out(rng, content):
    start, stop = _span(rng, content)
    return content[:start] + content[stop:]


def inserted(rng, content):
    place = rng.integers(len(content))
    return content[:place] + rng.bytes(rng.integers(1, 40)) + content[place:]


def repeated(rng, content):
    start, stop = _span(rng, content)
    return content[:stop] + content[start:]


def swapped(rng, content):
    start, stop = _span(rng, content)
    middle = (start + stop) // 2
    return (
        content[:start] + content[middle:stop] + content[start:middle] + content[stop:]
    )


MUTATIONS = [
    *(flip_bit, other_byte, other_block, zeros, cut),
    *(left_out, inserted, repeated, swapped),
]


def _span(rng, content):
    start = int(rng.integers(len(content)))
    return start, min(len(content), start + int(rng.integers(1, 64)))


def mutated(seed, content):
    """Return the content, changed in one of the ways; the same for each seed."""
    rng = np.random.default_rng(seed)
    return MUTATIONS[seed % len(MUTATIONS)](rng, content)
