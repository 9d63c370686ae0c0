"""The pass of a teacher by itself, block by block, here or on a cluster."""

from __future__ import annotations

import pickle
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from itertools import chain, repeat
from typing import Any

import numpy as np
from tqdm import tqdm

from skkd._data.rows import take_rows
from skkd.memory._blocks import Block, blocks_of
from skkd.memory._cluster import Here, as_cluster
from skkd.memory._known import known_fingerprint
from skkd.memory._logits import CacheInfo, LogitMemory, as_memory
from skkd.memory._lookup import encode, logits_of, open_table
from skkd.memory._requirements import Requirements
from skkd.teachers._as_teacher import as_teacher
from skkd.teachers._base import Teacher
from skkd.teachers._sending import pickle_teacher

# Blocks that are on their way for each worker, so that it need not wait for the next.
_AHEAD = 2
# How often a block is begun anew whose worker died with it.
_TIMES = 3


def precompute_logits(
    teacher: Any,
    X: Any,
    memory: Any,
    *,
    classes: Any = None,
    reader: Any = None,
    client: Any = None,
    verbose: int = 0,
) -> CacheInfo:
    """Compute a teacher's logits before any fit, and keep them in a folder.

    A fit with the same teacher, samples and `memory` then asks the teacher nothing.
    Each distinct sample goes through the teacher once. What is computed is written
    block by block: if the call is interrupted or killed, the next one asks for what is
    missing. On a cluster the workers run the teacher, and this process alone writes, so
    that they need not see the folder.

    Parameters
    ----------
    teacher : object
        A fitted one, as of :class:`~skkd.DistilledClassifier`; with its
        ``teacher_transform`` as ``as_teacher(teacher, transform=...)``.
    X : array-like of n samples, Dask array or paths
        What ``fit`` will be given, or will be given as ``teacher_X``. The chunks of a
        Dask array are computed where they lie.
    memory : str, path, joblib.Memory or LogitMemory
        The folder, with the options that the fits will have.
    classes : array-like of shape (n_classes,), default=None
        The labels that ``y`` will have. None takes those of the teacher; a network does
        not know any.
    reader : transformer or None, default=None
        What stands before the student in its pipeline and needs no fit, such as
        :class:`~skkd.ImageReader`; or the fitted steps. The workers read the files, and
        have to find them at the same paths.
    client : None, dask.distributed.Client or "ray", default=None
        Who runs the teacher: this process, the workers of Dask, or those of the Ray
        that :func:`ray.init` connected to.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    CacheInfo
        How many samples were computed, and how many were there or equal to another.

    Raises
    ------
    ValueError
        If `memory` is no folder, `classes` are needed, or the teacher's content cannot
        be identified.
    TypeError
        If the teacher cannot be sent to other processes.
    RuntimeError
        If a worker has other versions of Python, skkd, NumPy, scikit-learn, skorch or
        torch than this process.

    See Also
    --------
    plan_logits : How long it will take, and how many bytes.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skkd import DistilledClassifier
    >>> from skkd.memory import precompute_logits
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = precompute_logits(teacher, X, folder)
    ...     student = DistilledClassifier(teacher=teacher, memory=folder, max_epochs=1)
    ...     print(done.misses, student.fit(X, y).cache_info_.misses)
    149 0
    """
    kept = _folder_of(memory)
    classes, adapter = _adapter_of(teacher, classes)
    cluster = as_cluster(client)
    work = _Pass(cluster, adapter, classes, kept)
    n_samples, blocks = blocks_of(X, reader, cluster, len(classes))
    with tqdm(total=n_samples, disable=not verbose, unit=" samples") as bar:
        return work.run(blocks, bar)


def _folder_of(memory: Any) -> LogitMemory:
    kept = as_memory(memory)
    if kept is None or kept._folder() is None:
        raise ValueError(
            f"memory={memory!r} keeps nothing for a later process: expected a folder, "
            "or a LogitMemory with one."
        )
    return kept


def _adapter_of(teacher: Any, classes: Any) -> tuple[np.ndarray, Teacher]:
    """Return the classes of a fit, sorted, and the teacher as it will be for them."""
    adapter = as_teacher(teacher)
    if classes is None:
        classes = adapter.classes_
    if classes is None:
        raise ValueError(
            f"The teacher {adapter.described} does not tell the labels of its columns, "
            "by which its logits are kept: pass classes=, the labels that y will have."
        )
    classes = np.unique(np.asarray(classes))
    adapter = adapter.match_encoded(classes)
    adapter.check(classes)
    return classes, adapter


class _Pass:
    """A pass of a teacher: what was asked, what is on its way, what is kept."""

    def __init__(
        self, cluster: Here, adapter: Teacher, classes: np.ndarray, memory: LogitMemory
    ) -> None:
        self.cluster, self.classes, self.memory = cluster, classes, memory
        self.content = known_fingerprint(adapter)
        self.teacher: Any = adapter
        self.required = Requirements.of()
        self.pickled: np.ndarray | None = None
        if cluster.n_workers:
            self.pickled = np.frombuffer(pickle_teacher(adapter), dtype=np.uint8)
            self.teacher = cluster.send(self.pickled, to_all=True)
        self.table: Any = None
        self.codec: Any = None
        self.kind = ""
        self.asked: set[bytes] = set()  # keys, of this pass
        # Keys, what stands for their logits, and how to begin them anew.
        self.pending: deque[tuple[np.ndarray, Any, Callable[[], Any]]] = deque()
        self.misses = self.n_samples = 0

    def run(self, blocks: Iterator[Block], bar: Any) -> CacheInfo:
        """Ask for all blocks, and keep what comes, until nothing is left."""
        waiting: deque[Block] = deque()
        ahead = _AHEAD * self.cluster.n_workers
        with ExitStack() as stack:
            for block in chain(blocks, repeat(None)):
                if block is not None:
                    waiting.append(block)
                elif not waiting and not self.pending:
                    break
                if waiting and (block is None or len(waiting) > ahead):
                    bar.update(self._ask(waiting.popleft(), stack))
                if self.pending and (not waiting or len(self.pending) > ahead):
                    bar.update(self._keep(*self.pending.popleft()))
        n_bytes = 0 if self.table is None else self.table.nbytes
        return CacheInfo(self.misses, self.n_samples - self.misses, 0, n_bytes)

    def _ask(self, block: Block, stack: ExitStack) -> int:
        """Let a worker compute what of a block is neither kept nor asked for.

        Returns how many samples need not be computed.
        """
        keys, kind = block.keys()
        if self.table is None:
            self.kind = kind
            parts = (self.memory, self.content, kind, self.classes)
            self.table, self.codec = open_table(*parts)
            stack.enter_context(self.table.writing())
        if kind != self.kind:
            raise ValueError(
                f"X has samples of several kinds, {self.kind!r} and {kind!r}: expected "
                "one dtype and shape, as a fit has."
            )
        self.n_samples += len(keys)
        found, _ = self.table.lookup(keys)
        new = []
        for i in np.flatnonzero(~found).tolist():
            key = keys[i].tobytes()
            if key not in self.asked:
                self.asked.add(key)
                new.append(i)
        rows = np.array(new, dtype=np.intp)
        if len(rows):
            start = partial(self._start, block, rows)
            self.pending.append((keys[rows], start(), start))
        return len(keys) - len(rows)

    def _start(self, block: Block, rows: np.ndarray) -> Any:
        samples, picked = block.take(rows)
        given = (samples, picked, self.classes, self.codec)
        asked = (self.teacher, self.content, self.required, *given)
        return self.cluster.submit(compute, *asked)

    def _keep(self, keys: np.ndarray, logits: Any, start: Callable[[], Any]) -> int:
        for _ in range(_TIMES):
            with suppress(*self.cluster.lost):
                values = self.cluster.result(logits)
                break
            # The teacher may be lost, too: Dask keeps one copy of what is not in use.
            self.teacher = self.cluster.send(self.pickled, to_all=True)
            logits = start()
        else:
            values = self.cluster.result(logits)
        self.table.add(keys, values)
        self.misses += len(keys)
        return len(keys)


def compute(
    teacher: Any,
    content: str,
    required: Requirements,
    samples: Any,
    rows: np.ndarray | None,
    classes: np.ndarray,
    codec: Any,
) -> np.ndarray:
    """Return the logits of some samples as they are kept; in a worker.

    Parameters
    ----------
    teacher : Teacher, or the bytes of its pickle
    content : str
        Tells the teacher from others.
    required : Requirements
    samples : object
    rows : ndarray of int or None
        Those of the samples that are meant, None for all.
    classes : ndarray of shape (n_classes,)
    codec : FullCodec, TopCodec or None
    """
    if not isinstance(teacher, Teacher):
        reason = required.unmet()
        if reason:
            raise RuntimeError(reason)
        teacher = _unpickled(content, teacher)
    part = samples if rows is None else take_rows(samples, rows)
    return encode(codec, logits_of(teacher, classes, part))


# The last teacher that this worker was sent.
_TEACHER: dict[str, Teacher] = {}
_LOCK = threading.Lock()


def _unpickled(content: str, pickled: np.ndarray) -> Teacher:
    with _LOCK:
        if content not in _TEACHER:
            _TEACHER.clear()
            _TEACHER[content] = pickle.loads(pickled.tobytes())
        return _TEACHER[content]
