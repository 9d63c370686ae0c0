#!/usr/bin/env bash
# Pillow 13.0.0 reads a 16-bit TIFF in which zero is white as its negative.
#
# Valid input: a gray TIFF with PhotometricInterpretation 0 (WhiteIsZero), of 8 and
# of 16 bits, written by tifffile. Seen (Linux, Python 3.11):
#   8 bits:  the level 0 is read as 255, white: right
#   16 bits: the level 0 is read as 0, black: the whole image is a negative
# What follows for who trains on such files: an image and its 8-bit version are opposite.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet "pillow==13.0.0" "tifffile==2025.5.10" "numpy==2.2.6" 2>/dev/null
cat >"$folder/try.py" <<'PY'
import io
import numpy as np
import tifffile
from PIL import Image, __version__

for dtype in (np.uint8, np.uint16):
    levels = np.zeros((8, 8), dtype)
    levels[:, 4:] = np.iinfo(dtype).max
    file = io.BytesIO()
    tifffile.imwrite(file, levels, photometric="miniswhite")
    file.seek(0)
    image = Image.open(file)
    white = np.iinfo(dtype).max
    shown = "white" if image.getpixel((0, 0)) == white else "black"
    print(__version__, image.mode, "tag", image.tag_v2[262], "zero is read as", shown)
PY
"$folder/env/bin/python" "$folder/try.py" | tee "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
13.0.0 L tag 0 zero is read as white
13.0.0 I;16 tag 0 zero is read as black
EXPECTED
