#!/bin/sh
# Makes page.wasm of page.py, and fetches the tool for it the first time. `nearside build` runs this.
set -eu
cd "$(dirname "$0")"

missing() {
    echo "build.sh: $1 is missing. componentize-py needs it to make a WebAssembly component of page.py. Install $2" >&2
    exit 1
}
command -v python3 >/dev/null 2>&1 || missing "python3" "Python 3.10 or newer: https://www.python.org"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    missing "Python 3.10 or newer" "it beside $(python3 --version): https://www.python.org"
python3 -c 'import ensurepip, venv' 2>/dev/null ||
    missing "Python's venv with pip" "it; on Debian and its like: apt-get install python3-venv"

# After a change of requirements.txt, too.
if [ ! -e .venv/installed ] || [ requirements.txt -nt .venv/installed ]; then
    python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
    touch .venv/installed
fi
.venv/bin/componentize-py --wit-path wit --world page componentize page -o page.wasm
