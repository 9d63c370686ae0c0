#!/usr/bin/env bash
# Pillow 12.0.0 writes a YCbCr image as TIFF and cannot read its own file; 13.0.0 can.
#
# Valid input: Image.new("YCbCr", (8, 8)) saved as TIFF without compression, which is how
# an image dataset that was converted once may lie on disk. Seen (Linux, Python 3.11):
#   Pillow 12.0.0: the file is opened, as RGB, and reading its pixels raises OSError
#   Pillow 13.0.0: the file is opened as YCbCr, and the pixels come back
# What follows for who reads folders of images: opening a file tells nothing of whether
# it can be decoded, and the error depends on the release of Pillow.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
cat >"$folder/try.py" <<'PY'
import io
from PIL import Image, __version__

image = Image.new("YCbCr", (8, 8), (120, 90, 200))
file = io.BytesIO()
image.save(file, "TIFF")
file.seek(0)
again = Image.open(file)
try:
    pixel = again.convert("RGB").getpixel((0, 0))
    print(__version__, again.mode, "read", pixel == image.convert("RGB").getpixel((0, 0)))
except Exception as error:
    print(__version__, again.mode, "raises", type(error).__name__)
PY
for release in pillow==12.0.0 pillow==13.0.0; do
  "$folder/env/bin/pip" install --quiet "$release" 2>/dev/null
  "$folder/env/bin/python" "$folder/try.py"
done | tee "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
12.0.0 RGB raises OSError
13.0.0 YCbCr read True
EXPECTED
