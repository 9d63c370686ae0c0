"""Images, decoded in threads and, with `memory`, cached on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from typing import Any

import numpy as np
from joblib import effective_n_jobs

from skkd.images._decoder_warnings import catching_warnings
from skkd.images._errors import UnreadableImageError, describe_unreadable
from skkd.images._levels import Levels
from skkd.images._reading import read_image, warn_of_doubts
from skkd.images._sources import Source, name_of
from skkd.images._storage import Doubt
from skkd.images._table import image_kind, open_table, source_keys

# Files per task of a thread: large enough that the overhead of a task does not matter
# for tiny images, small enough to distribute a few large ones.
_BATCH_SIZE = 8
# Files decoded before they are written to disk: limits the memory needed, and what is
# lost when a process is killed.
_PIECE_ROWS, _PIECE_BYTES = 1024, 2**24


class ImageRows:
    """Some images; each file is opened when it is read."""

    def __init__(
        self,
        sources: Sequence[Source],
        shape: tuple[int, int, int],
        mode: str,
        n_jobs: int | None = None,
        memory: Any = None,
        levels: Levels = None,
    ) -> None:
        self.sources, self.shape, self.mode, self.levels = sources, shape, mode, levels
        # Here, since the workers of a DataLoader do not see joblib's context.
        self.n_threads = effective_n_jobs(n_jobs)
        self.table = open_table(memory, shape, mode, levels)
        self._keys: np.ndarray | None = None
        self._doubts: dict[int, list[Doubt]] = {}
        self._warned = False

    def __len__(self) -> int:
        return len(self.sources)

    def subset(self, rows: np.ndarray) -> ImageRows:
        """Return some of these images."""
        part = copy(self)
        part.sources = [self.sources[row] for row in rows]
        part._keys = None if self._keys is None else self._keys[rows]
        part._doubts = {}
        return part

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the images of `rows`, (m, *shape); decode what is not cached."""
        images = np.empty((len(rows), *self.shape), dtype=np.uint8)
        missing = np.arange(len(rows))
        if self.table is not None:
            missing = self._lookup(rows, missing, images)
        failures = self._decode(rows[missing], images, missing)
        self._check_none([(int(rows[missing[i]]), why) for i, why in failures], rows)
        self._warn_of_doubts()
        return images

    def fill_table(self, images: np.ndarray | None = None) -> None:
        """Decode the images that are not cached yet, and cache them.

        `images`, (n, *shape), is filled with all images; with None those already cached
        are not read. Unreadable files are raised after all others are cached.
        """
        assert self.table is not None
        self._keys, unstated = source_keys(self.sources)
        failures = [*unstated.items()]
        rows = np.setdiff1d(np.arange(len(self)), [*unstated])
        missing = self._absent(rows, images)
        if missing.size:
            # The lock keeps other processes from decoding the same files.
            with self.table.writing():
                for piece in self._pieces(missing):
                    failures += self._add(piece, images)
        self._check_none(sorted(failures), np.arange(len(self)))
        self._warn_of_doubts()

    def row_keys(self) -> tuple[np.ndarray, str]:
        """Return a key for each file, (n, 2) uint64, and the kind of images."""
        if self._keys is None:
            self._keys, failures = source_keys(self.sources)
            self._check_none([*failures.items()], np.arange(len(self)))
        return self._keys, f"image {image_kind(self.shape, self.mode, self.levels)}"

    def _add(self, rows: np.ndarray, images: Any) -> list[tuple[int, str]]:
        """Decode `rows`, each file once, and return those that failed, with reasons."""
        assert self.table is not None and self._keys is not None
        # Another process may have decoded them while this one waited.
        rows = self._absent(rows, images)
        _, first, same = np.unique(
            self._keys[rows], axis=0, return_index=True, return_inverse=True
        )
        once, same = rows[first], same.ravel()
        decoded = np.empty((len(once), *self.shape), dtype=np.uint8)
        failed = dict(self._decode(once, decoded, np.arange(len(once))))
        # What is doubtful is decoded again, so that the warning comes again.
        doubtful = [i for i, row in enumerate(once.tolist()) if row in self._doubts]
        good = np.setdiff1d(np.arange(len(once)), [*failed, *doubtful])
        self.table.add(self._keys[once[good]], decoded[good])
        if images is not None:
            images[rows] = decoded[same]
        return [
            (int(row), failed[i])
            for row, i in zip(rows, same.tolist(), strict=True)
            if i in failed
        ]

    def _absent(self, rows: np.ndarray, images: Any) -> np.ndarray:
        """Return those of `rows` that are not cached; fill `images` with the others."""
        assert self.table is not None and self._keys is not None
        if images is None:
            return rows[~self.table.contains(self._keys[rows])]
        missing = [self._lookup(part, part, images) for part in self._pieces(rows)]
        return np.concatenate(missing) if missing else rows

    def _lookup(
        self, rows: np.ndarray, places: np.ndarray, images: np.ndarray
    ) -> np.ndarray:
        """Fill `images` at `places` from the cache; return the places left empty."""
        assert self.table is not None and self._keys is not None
        found, known = self.table.lookup(self._keys[rows])
        images[places[found]] = known
        return places[~found]

    def _decode(
        self, rows: np.ndarray, images: np.ndarray, places: np.ndarray
    ) -> list[tuple[int, str]]:
        """Decode `rows` into `images` at `places`; return what failed, by position."""

        def decode(start: int) -> list[tuple[int, str]]:
            failures = []
            for i in range(start, min(start + _BATCH_SIZE, len(rows))):
                reason = self._read(int(rows[i]), images[places[i]])
                if reason:
                    failures.append((i, reason))
            return failures

        starts = range(0, len(rows), _BATCH_SIZE)
        with catching_warnings:
            if self.n_threads == 1 or len(starts) < 2:
                failures = [*map(decode, starts)]
            else:
                # Pillow's decoders release the GIL. Starting joblib's threads would
                # take longer than decoding a batch of small images.
                with ThreadPoolExecutor(self.n_threads) as threads:
                    failures = [*threads.map(decode, starts)]
        return [failure for batch in failures for failure in batch]

    def _read(self, row: int, image: np.ndarray) -> str:
        """Decode one file into `image`; return why it could not be read, if so."""
        reason, doubts = read_image(self.sources[row], image, self.mode, self.levels)
        if doubts:
            self._doubts[row] = doubts
        return reason

    def _name(self, row: int) -> str:
        return name_of(self.sources[row], row)

    def _pieces(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        step = max(1, min(_PIECE_ROWS, _PIECE_BYTES // int(np.prod(self.shape))))
        return (rows[i : i + step] for i in range(0, len(rows), step))

    def _check_none(self, failures: list[tuple[int, str]], rows: np.ndarray) -> None:
        if failures:
            unreadable = [(self._name(row), reason) for row, reason in failures]
            raise UnreadableImageError(
                describe_unreadable(unreadable, len(rows)), unreadable
            )

    def _warn_of_doubts(self) -> None:
        """Warn of the doubtful files, once for all batches of these images."""
        if not self._doubts or self._warned:
            return
        self._warned = True
        warn_of_doubts({self._name(row): d for row, d in sorted(self._doubts.items())})
