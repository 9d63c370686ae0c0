"""What tests of several wings share."""

import re


def stable_repr(value):
    """Return a repr without addresses: the id of a test is the same in each process."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
