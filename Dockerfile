# One image for web, worker and scheduler; the command decides. Pin the digest of the base image in your own registry.
FROM python:3.13-slim AS packages
WORKDIR /app
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin mailwarden \
    && install -d -o mailwarden -m 0700 /data
COPY --from=packages /venv /venv
WORKDIR /app
COPY manage.py pyproject.toml ./
COPY dashboard dashboard
COPY investigate investigate
COPY settings_ui settings_ui
COPY templates templates
COPY static static
COPY scripts/container.sh scripts/
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MAILWARDEN_DATA_DIR=/data
USER mailwarden
ENTRYPOINT ["scripts/container.sh"]
