#!/usr/bin/env bash
# Ray 2.60.0 with joblib 1.6.0: an argument that all tasks share is pickled for each task.
#
# Valid input: joblib.Parallel on Ray's backend, one list as the argument of eight calls,
# as a search of scikit-learn passes X. Ray's backend says that it puts such arguments into
# the object store once ("put_items_in_object_store", ray-project/ray#16879), and does so
# for a BatchedCalls of joblib; joblib by now hands it one inside of a wrapper.
# Seen (Linux, Python 3.11): pickled 8 times for 8 tasks. What follows: a search sends its X
# as often as it has fits. `ray.put(X)` by oneself, and `ray.get` in the function, sends once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet ray==2.60.0 joblib==1.6.0 2>/dev/null
cat >"$folder/try.py" <<'PY'
import joblib
import ray
from joblib import Parallel, delayed, parallel_config
from ray.util.joblib import register_ray

PICKLED = []


class Noted:
    def __reduce__(self):
        PICKLED.append(1)
        return str, ("unpickled",)


ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
register_ray()
shared = [Noted()] * 100
with parallel_config("ray", n_jobs=2):
    sizes = Parallel(batch_size=1)(delayed(len)(shared) for _ in range(8))
print(ray.__version__, joblib.__version__, sizes)
print("tasks:", len(sizes), "pickled:", len(PICKLED))
PY
RAY_USAGE_STATS_ENABLED=0 "$folder/env/bin/python" "$folder/try.py" 2>/dev/null |
    tee "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
2.60.0 1.6.0 [100, 100, 100, 100, 100, 100, 100, 100]
tasks: 8 pickled: 8
EXPECTED
