#!/usr/bin/env bash
# pydicom 3.0.2: apply_voi with entries of 8 bits wraps at 256 levels.
#
# Valid input: a VOI LUT of 4096 entries of 8 bits each (LUT Descriptor 4096\0\8), which maps
# 12-bit levels to what a display shows; PS3.3 C.11.2.1.1 allows 8 bits. Seen (Python 3.11):
#   entry i is i // 16, so that the levels 256, 2048, 4095 are to become 16, 128, 255
#   apply_voi gives 0, 0, 15: the index is held in the type of the entries, uint8
#   the same table with entries of 16 bits is applied rightly
# What follows for who makes 8-bit images of DICOM files: most of the image is wrong, and it
# still looks like one. Look up the entries yourself where they have 8 bits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet "pydicom==3.0.2" "numpy==2.2.6" 2>/dev/null
cat >"$folder/try.py" <<'PY'
import numpy as np
from pydicom import __version__
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_voi

levels = np.array([255, 256, 2048, 4095], np.uint16)
for bits in (8, 16):
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4096, 0, bits])
    item.add_new("LUTData", "US", [i // 16 for i in range(4096)])
    dataset = Dataset()
    dataset.VOILUTSequence = [item]
    print(__version__, bits, "bits:", apply_voi(levels, dataset).tolist())
PY
"$folder/env/bin/python" "$folder/try.py" | tee "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
3.0.2 8 bits: [15, 0, 0, 15]
3.0.2 16 bits: [15, 16, 128, 255]
EXPECTED
