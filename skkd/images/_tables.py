"""Tables that lie beside images, and what they are named."""

from __future__ import annotations

from pathlib import Path

from skkd.images._names import split_of, words_of

_SUFFIXES = {".csv", ".tsv"}  # which `labels` reads
_OTHERS = {".xlsx", ".xls", ".json", ".parquet"}
# What a table of one's own has.
COLUMNS = "pandas.DataFrame({'file': names, 'label': labels})"
# Words that name tables or columns of labels, the likeliest first.
_LABELS = (
    *("labels", "label", "class", "classes", "category", "target", "diagnosis"),
    *("dx", "species", "breed", "groundtruth", "annotations"),
    *("metadata", "info"),
)


def has_table(folder: Path) -> bool:
    """Tell whether a table of any format lies in a folder."""
    return any(p.suffix.lower() in _SUFFIXES | _OTHERS for p in folder.iterdir())


def suggest_table(folder: Path, split: str = "") -> str:
    """Return the CSV file that most likely names the classes of a split, or "".

    With a split it is looked for from the folder of the split.
    """
    names = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES)
    # A sample of a submission has labels too: wrong ones.
    fit = [
        name
        for name in names
        if not any("submission" in word for word in words_of(name))
        and split_of(name) in {split or "train", ""}
    ]
    if not fit:
        return ""
    best = min(fit, key=lambda name: (not split_of(name), rank_of_labels(name)))
    return f"../{best}" if split else best


def rank_of_labels(name: str) -> tuple[int, int]:
    """Return how likely a table or a column holds labels by its name; 0 is best."""
    words = words_of(name)
    ranks = [(_LABELS.index(word), len(words)) for word in words if word in _LABELS]
    return min(ranks, default=(len(_LABELS), 0))
