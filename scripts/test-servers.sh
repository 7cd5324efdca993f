#!/usr/bin/env bash
# What the tests need besides Python: PostgreSQL, Redis and Chromium from the distribution, installed where we may.
set -euo pipefail
missing=()
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || missing+=(postgresql)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
[ ${#missing[@]} -eq 0 ] && exit 0
echo "installing ${missing[*]}"
install="apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ${missing[*]} fonts-dejavu-core >/dev/null"
if [ "$(id -u)" = 0 ]; then
  sh -c "$install"
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  sudo -n sh -c "$install"
else
  echo "Not installed, and this user may not install them: ${missing[*]}. Their tests are skipped." >&2
  echo "Run: sudo apt-get install ${missing[*]}" >&2
fi
