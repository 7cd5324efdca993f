#!/bin/sh
# Start one part of Mailwarden in a container; secrets arrive as files and are read into the environment here.
set -eu
for name in SECRET_KEY CLOUDFLARE_API_TOKEN CLOUDFLARE_READ_TOKEN CLOUDFLARE_API_KEY DATABASE_URL REDIS_URL \
  MAILWARDEN_FACTOR_KEY MAILWARDEN_EMAIL_URL MAILWARDEN_OIDC_CLIENT_SECRET MAILWARDEN_AUDIT_WEBHOOK_SECRET; do
  eval "file=\${${name}_FILE:-}"
  if [ -n "$file" ]; then
    value=$(cat "$file")
    export "$name=$value"
  fi
done
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-2}" # else each thread grows a heap of its own and never gives it back
case "$1" in
  migrate) exec python manage.py migrate_safely ;;
  web)
    python manage.py collectstatic --no-input --verbosity 0
    exec gunicorn --config dashboard/gunicorn.py --bind 0.0.0.0:8000 dashboard.wsgi
    ;;
  worker)
    # `worker people,polls` works on those queues only; without names on all of them.
    # Work that mostly waits gets threads; jobs get processes, which have time limits and give their memory back.
    queues=${2:-people,polls,bulk,sweep}
    case $queues in
      bulk) pool="prefork --concurrency ${MAILWARDEN_BULK_PROCESSES:-2}" ;;
      *) pool="threads --concurrency ${MAILWARDEN_WORKER_THREADS:-16}" ;;
    esac
    # Celery's soft shutdown on SIGTERM: running work ends, the rest is rung again by the sweep.
    export REMAP_SIGTERM=SIGQUIT
    # shellcheck disable=SC2086  the pool and its size are several words
    exec celery --app dashboard worker --pool $pool --queues "$queues" \
      --without-gossip --without-mingle --without-heartbeat --loglevel WARNING
    ;;
  scheduler) exec celery --app dashboard beat --loglevel WARNING --pidfile= ;;
  *) exec python manage.py "$@" ;;
esac
