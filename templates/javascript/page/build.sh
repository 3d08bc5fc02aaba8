#!/bin/sh
# Makes page.wasm of src/page.js, and fetches the tools for it the first time. `nearside build` runs this.
set -eu
cd "$(dirname "$0")"

need() {
    command -v "$1" >/dev/null 2>&1 && return
    echo "build.sh: $1 is missing. It $2. Install Node.js 20 or newer, which brings it: https://nodejs.org" >&2
    exit 1
}
need node "runs jco, which makes a WebAssembly component of JavaScript"
need npm "installs jco, which makes a WebAssembly component of JavaScript"
node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || {
    echo "build.sh: node is $(node --version), and jco needs 20 or newer: https://nodejs.org" >&2
    exit 1
}

# After a change of package.json, too.
if [ ! -e node_modules/.installed ] || [ package.json -nt node_modules/.installed ]; then
    npm install --no-audit --no-fund
    touch node_modules/.installed
fi
npx --no-install jco componentize src/page.js --bundle --bundle-config bundle.config.js \
    --wit wit --world-name page --out page.wasm
