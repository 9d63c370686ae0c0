"""Records in files of lines, each with a checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_CHECK = "check"  # of the rest of a line


def sealed(record: Mapping[str, Any]) -> str:
    r"""Return the line of a record, with a checksum of it.

    Parameters
    ----------
    record : mapping
        Of what JSON knows.

    Returns
    -------
    str

    Examples
    --------
    >>> from skkd._utils.records import sealed, unsealed
    >>> line = sealed({"score": 0.5})
    >>> line
    '{"score":0.5,"check":"2e4c25ffee23d189"}\n'
    >>> unsealed(line)
    {'score': 0.5}
    """
    text = _dump(record)
    check = hashlib.sha256(text.encode()).hexdigest()[:16]
    return _dump({**record, _CHECK: check}) + "\n"


def unsealed(line: str) -> dict[str, Any]:
    """Return the record of a line, which may lack the line feed at its end.

    Raises
    ------
    ValueError
        If it is not what :func:`sealed` wrote.
    """
    record = json.loads(line)
    if not isinstance(record, dict):
        raise ValueError(f"{line:.80} is no record")
    record.pop(_CHECK, None)
    if line.rstrip("\n") + "\n" != sealed(record):
        raise ValueError(f"the checksum of {line:.80} is wrong")
    return record


def _dump(record: Mapping[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":"))
