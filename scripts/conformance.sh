#!/usr/bin/env bash
# Runs the official SDK's own test-suite, with strict validation of answers, against the simulator's conformance profile.
# Everything happens in a temporary folder; exits non-zero unless exactly the expected number of tests passed.
set -euo pipefail

cd "$(dirname "$0")/.."
readonly SDK=5.9.0
readonly EXPECTED=897 # 299 functions x sync, async, async over aiohttp
readonly PY=$PWD/.venv/bin/python

scratch=$(mktemp -d)
simulator=
cleanup() {
  if [ -n "$simulator" ]; then
    kill "$simulator" 2>/dev/null || true
    wait "$simulator" 2>/dev/null || true
  fi
  rm -rf "$scratch"
}
trap cleanup EXIT

echo "preparing the SDK $SDK and its tests"
if [ -x .venv/bin/uv ]; then
  .venv/bin/uv venv -q --python "$PY" "$scratch/venv"
  install() { .venv/bin/uv pip install -q --python "$scratch/venv/bin/python" "$@"; }
else
  "$PY" -m venv "$scratch/venv"
  install() { "$scratch/venv/bin/python" -m pip install -q "$@"; }
fi
install pip "cloudflare==$SDK" pytest==9.0.2 pytest-asyncio==1.3.0 pytest-xdist==3.8.0 aiohttp httpx-aiohttp
# The tests are only in the source distribution.
"$scratch/venv/bin/python" -m pip -q download "cloudflare==$SDK" --no-deps --no-binary cloudflare -d "$scratch"
tar -xzf "$scratch/cloudflare-$SDK.tar.gz" -C "$scratch"
mkdir "$scratch/sdk"
cp -r "$scratch/cloudflare-$SDK/tests" "$scratch/cloudflare-$SDK/pyproject.toml" "$scratch/sdk/"
find "$scratch/sdk/tests/api_resources/email_security" -name '*.py' -exec sed -i '/pytest.mark.skip(/d' {} +

# The settings want a connection; the simulator makes none, so any well-formed values do.
env -u CLOUDFLARE_EMAIL -u CLOUDFLARE_API_KEY -u CLOUDFLARE_BASE_URL \
  SECRET_KEY=only-for-the-simulator-which-signs-nothing-with-it MAILWARDEN_DATA_DIR="$scratch/data" \
  CLOUDFLARE_ACCOUNT_ID=00000000000000000000000000000000 CLOUDFLARE_API_TOKEN=unused \
  "$PY" manage.py simulator --profile conformance --port 0 >"$scratch/simulator.log" 2>&1 &
simulator=$!
for _ in $(seq 150); do
  base=$(sed -n 's|^\(http://[^ ]*\) .*|\1|p' "$scratch/simulator.log")
  [ -n "$base" ] && break
  kill -0 "$simulator" 2>/dev/null || { cat "$scratch/simulator.log" >&2; exit 1; }
  sleep 0.2
done
[ -n "$base" ] || { echo "the simulator did not start" >&2; exit 1; }

echo "running the suite against $base"
cd "$scratch/sdk"
env -u CLOUDFLARE_API_TOKEN -u CLOUDFLARE_API_KEY -u CLOUDFLARE_EMAIL -u CLOUDFLARE_BASE_URL -u CLOUDFLARE_CUSTOM_HEADERS \
  TEST_API_BASE_URL="$base" "$scratch/venv/bin/python" -m pytest tests/api_resources/email_security \
  -n 4 -q -k '[strict] or [aiohttp]' 2>&1 | tee "$scratch/result.log" | tail -n 40 || true

if ! grep -Eq "^=* ?$EXPECTED passed(, [0-9]+ deselected)? in " "$scratch/result.log"; then
  echo "expected exactly $EXPECTED passed" >&2
  exit 1
fi
