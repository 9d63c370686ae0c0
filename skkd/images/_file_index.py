"""Names of files in a table, and the files that they mean."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from skkd.images._files import looks_like_image
from skkd.images._names import words_of
from skkd.images._walk import FoundFile

_FILE_WORDS = {"file", "filename", "filepath", "filepaths", "path", "id", "name"}
_FILE_WORDS |= {"image", "images", "img", "index"}
_N_LOOKED_AT = 200  # rows from which the column of file names is known


class FileIndex:
    """Files by their names in a table: paths, or names with or without suffix.

    A name means each file whose full path ends with it; letters that differ in case or
    Unicode form are equal.
    """

    def __init__(self, root: Path, files: Sequence[FoundFile]) -> None:
        self.root = tuple(map(_fold, root.resolve().parts))
        self.by_name: dict[str, list[FoundFile]] = defaultdict(list)
        self.by_stem: dict[str, list[FoundFile]] = defaultdict(list)
        for file in files:
            name = file.parts[-1]
            self.by_name[_fold(name)].append(file)
            if looks_like_image(name):
                self.by_stem[_fold(PurePosixPath(name).stem)].append(file)

    def find(self, name: Any) -> list[FoundFile]:
        """Return the files that a name means."""
        # A column of whole numbers with gaps is one of floats in pandas.
        if isinstance(name, float) and name.is_integer():
            name = int(name)
        text = str(name).strip().replace("\\", "/")
        parts = tuple(_fold(part) for part in PurePosixPath(text).parts if part != ".")
        if not parts:
            return []
        *folders, last = parts
        candidates = self.by_name.get(last) or self.by_stem.get(last, [])
        found = [file for file in candidates if self._ends_with(file, folders)]
        # The path from the root is meant where a name further down ends alike.
        exact = [file for file in found if len(file.parts) == len(parts)]
        return exact if folders and len(exact) == 1 else found

    def _ends_with(self, file: FoundFile, folders: Sequence[str]) -> bool:
        if not folders:
            return True
        path = (*self.root, *map(_fold, file.parts[:-1]))
        return path[-len(folders) :] == tuple(folders)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def find_file_columns(
    header: Sequence[Any], rows: Sequence[Sequence[Any]], index: FileIndex
) -> list[int]:
    """Return the columns that most likely name files, as equals; none if none does.

    They name the most different files: labels that are numbers may name files as well,
    but the same few again and again. Of equals the one of names with a suffix, or with
    a header such as "path", is likelier.
    """
    sample = rows[:_N_LOOKED_AT]
    scores = []
    for i, name in enumerate(header):
        found = [tuple(index.find(row[i])) for row in sample]
        n_single = len({files for files in found if len(files) == 1})
        has_suffix = any(looks_like_image(str(row[i])) for row in sample)
        words = {*words_of(str(name))}
        is_named = bool(_FILE_WORDS & words) and "class" not in words
        scores.append((n_single, len({*found} - {()}), has_suffix, is_named))
    best = max(scores, default=(0, 0))
    return [i for i, score in enumerate(scores) if score == best and best[1]]
