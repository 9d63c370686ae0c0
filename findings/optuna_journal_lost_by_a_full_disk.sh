#!/usr/bin/env bash
# A journal file of optuna 5.0.0 cannot be read any more after one record that was
# written in part, as to a disk that was full for a moment.
#
# Valid input: JournalStorage(JournalFileBackend(path)), "it is suitable for environments
# where the file system does not support file locking". A limit on the size of the file
# stands for the full disk: the write of one record fails half-way with an OSError, which
# is right, and the trials that are there can be read. Then there is room again. Seen
# (Linux, Python 3.11):
#   the next record is appended to the unfinished one, in the same line
#   from then on every read raises a JSONDecodeError: the trial that was stored before is
#   lost to all workers, and no study of the file can be opened
# read_logs leaves an unfinished last line out, append_logs writes behind it. What
# follows: a worker that is killed in the middle of a write does the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet "optuna==5.0.0" 2>/dev/null
cat >"$folder/try.py" <<'PY'
import os
import resource
import signal

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

optuna.logging.set_verbosity(optuna.logging.CRITICAL)


def open_study():
    storage = JournalStorage(JournalFileBackend("journal.log"))
    return optuna.create_study(study_name="s", storage=storage, load_if_exists=True)


def attempt(what, function):
    try:
        print(f"{what}: {function()}")
    except Exception as error:
        print(f"{what}: {type(error).__name__}")


study = open_study()
study.enqueue_trial({"x": 1.0})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an OSError instead
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
size = os.path.getsize("journal.log")
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, limits[1]))
attempt("no room for a record", lambda: study.enqueue_trial({"x": 2.0}))
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
attempt("room again, trials", lambda: len(open_study().trials))
attempt("one more record", lambda: study.enqueue_trial({"x": 3.0}))
attempt("trials", lambda: len(open_study().trials))
PY
cd "$folder"
env/bin/python try.py | tee seen
diff seen - <<'EXPECTED'
no room for a record: OSError
room again, trials: 1
one more record: JSONDecodeError
trials: JSONDecodeError
EXPECTED
