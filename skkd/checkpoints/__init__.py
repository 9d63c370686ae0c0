"""Fits that survive: saved while they run, and found again by their content.

``DistilledClassifier(checkpoint="folder")`` saves a fit while it runs. A fit that was
killed, and is run again, goes on after the last epoch that was saved; one that was
finished is loaded. So a search, a `gain`, a recipe or a study that is killed and run
again repeats nothing that was finished, whatever its number of processes.

**What is the same.** Parameters and history are bit for bit those of a fit that was
not interrupted: optimizer, schedules, augmentation, batch normalisation, callbacks and
all random streams go on where they were. Of the history the durations are of the
processes that trained. ``resumed_`` says how many epochs were not trained again, and
``verbose=1`` prints it.

**What is found again.** A fit is known by its content: the parameters that change its
result, X, y and all else that `fit` is given, the teacher, the seed, the kind of device
and the versions of skkd, torch, skorch, scikit-learn and NumPy. Functions and classes
that are not of an installed package count by their code and by the global variables
that it reads, other functions and classes among them; not by those that it changes, as
a counter. What has no such content, as a lambda, is refused before training, and so is
``random_state=None``.

Number of threads and kind of CPU decide on last digits. A finished fit is found on any
machine; one that was killed goes on where they are the same, and begins anew, with a
warning, where they are not. So it does if a teacher that is fitted on the way gives
other soft targets each time.

**What is saved.** Optimizers are those of `torch.optim`. Callbacks may keep numbers,
text, arrays, tensors, and objects with ``state_dict()`` and ``load_state_dict()``, or
have these methods themselves. A callback whose class says ``observes_only = True`` has
no influence on the student: it counts for nothing, and its
``on_epochs_restored(net, epochs)`` is called with the epochs that it has not seen.
Callbacks do not run for what is loaded: files that a ``Checkpoint`` of skorch has
written stay where it wrote them. Clones of a teacher (``teacher_cv``) are not saved:
those of a loaded fit are fitted when somebody asks for ``teacher_``.

`partial_fit` and a warm start are found by what the net has learnt before, too.
Students that are trained together (:class:`~skkd.search.PackedSearchCV`,
:func:`~skkd.report.gain`) are saved when they are finished: a group that was killed
begins again.

**Files** are of safetensors and JSON, and no code is run to read them. They are written
completely or not at all, and have a checksum: a damaged one is removed with a warning,
and the fit goes on from the one before it. A checksum does not show who wrote a file.
If a disk is full, a warning says so, the training goes on, and the former checkpoint
stays. Of two processes that train the same student the second waits, and says so.
:class:`CheckpointFolder` has a bound on the bytes, :func:`list_folder` and
:func:`empty_folder`, or the command ``skkd cache``, list and empty a folder.
"""

from skkd.checkpoints._folder import CheckpointFolder
from skkd.checkpoints._listing import Stored, empty_folder, list_folder

__all__ = ["CheckpointFolder", "Stored", "empty_folder", "list_folder"]
