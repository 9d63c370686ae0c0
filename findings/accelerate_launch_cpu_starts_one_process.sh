#!/usr/bin/env bash
# accelerate 1.15.0: `accelerate launch --cpu --num_processes 2` starts one process.
#
# Valid input: the two options are of the same command, and its help says of the second
# "The total number of processes to be launched in parallel".
# Seen (torch 2.13.0, CPU): one process that believes to be alone, and exit status 0. No
# message says that a second one was asked for, so a script trains on half of the
# processes that it was started for. `torchrun --nproc-per-node 2` starts two, with the
# same script.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet "accelerate==1.15.0" "torch==2.13.0" "numpy==2.4.6" 2>/dev/null
cat >"$folder/try.py" <<'PY'
from accelerate import Accelerator

accelerator = Accelerator(cpu=True)
accelerator.print(accelerator.num_processes, "of", "two")
PY
export PATH="$folder/env/bin:$PATH" OMP_NUM_THREADS=1 HF_HOME="$folder"
cd "$folder"
{
    echo "accelerate launch:"
    accelerate launch --cpu --num_processes 2 try.py 2>"$folder/errors"
    echo "torchrun:"
    torchrun --standalone --nproc-per-node 2 try.py 2>>"$folder/errors"
} | tee "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
accelerate launch:
1 of two
torchrun:
2 of two
EXPECTED
if grep -i "one process\|num_processes.*ignored" "$folder/errors"; then exit 1; fi
