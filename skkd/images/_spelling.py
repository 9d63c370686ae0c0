"""Classes whose names differ only in case, blanks or Unicode form."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from typing import Any


def check_alike(names: Sequence[str]) -> str:
    """Raise if two classes look the same; warn if they differ in case or blanks."""
    looks, folded = defaultdict(list), defaultdict(list)
    for name in names:
        looks[" ".join(unicodedata.normalize("NFC", name).split())].append(name)
        folded[_fold(name)].append(name)
    same = [group for group in looks.values() if len(group) > 1]
    if same:
        shown = "; ".join(" and ".join(map(ascii, group)) for group in same)
        raise ValueError(
            f"Classes that look the same, and differ in blanks or in their Unicode "
            f"form: {shown}. Merge their folders, or rename one."
        )
    alike = [
        group
        for group in folded.values()
        # Data sets of letters have "a" and "A".
        if len(group) > 1 and max(map(len, group)) > 1
    ]
    if not alike:
        return ""
    shown = "; ".join(" and ".join(map(repr, group)) for group in alike)
    return (
        f"Classes that differ only in case, blanks or dashes: {shown}. If they are one "
        "class, merge their folders."
    )


def describe_other_spelling(names: Sequence[Any], others: Sequence[Any]) -> str:
    """Warn of classes that another folder spells otherwise."""
    known = {_fold(name): name for name in others if isinstance(name, str)}
    pairs = [
        (name, known[_fold(name)])
        for name in names
        if isinstance(name, str) and name not in others and _fold(name) in known
    ]
    if not pairs:
        return ""
    shown = "; ".join(f"{a!a} is {b!a} there" for a, b in pairs)
    return f"Classes that compare_with spells otherwise: {shown}. Rename their folders."


def _fold(name: str) -> str:
    """Return what names have in common that differ in case, blanks or Unicode form."""
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())
