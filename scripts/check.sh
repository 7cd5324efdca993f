#!/usr/bin/env bash
# Everything that can be told without running the product.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
export MAILWARDEN_DATA_DIR=$data

step() { echo "$1"; shift; "$@"; }
step "ruff" $bin/ruff check --quiet .
step "ruff format" $bin/ruff format --quiet --check .
step "mypy" $bin/mypy --no-error-summary
step "djlint" $bin/djlint --quiet --lint templates
# The deployment check runs as in production: HTTPS on, a random key, an account that does not exist.
export SECRET_KEY CLOUDFLARE_ACCOUNT_ID=00000000000000000000000000000000 CLOUDFLARE_API_TOKEN=check
SECRET_KEY=$($bin/python -c 'import secrets; print(secrets.token_urlsafe(64))')
step "manage.py check --deploy" $bin/python manage.py check --deploy --fail-level WARNING
step "migrations" $bin/python manage.py makemigrations --check --dry-run
echo "all clean"
