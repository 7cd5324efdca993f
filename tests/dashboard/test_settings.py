"""Settings: whatever is missing or malformed stops the start with one sentence, and no typing error opens a door."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from investigate.actions import sending
from investigate.bulk import engine
from investigate.search import runs

GOOD = {
    "SECRET_KEY": "k" * 40,
    "CLOUDFLARE_ACCOUNT_ID": "0123456789abcdef0123456789abcdef",
    "CLOUDFLARE_API_TOKEN": "the-api-token",
}
OURS = ("CLOUDFLARE_", "MAILWARDEN_", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ALLOWED_HOSTS", "CSRF_TRUSTED")
SECRET = "hunter2hunter2"


@pytest.fixture
def read(monkeypatch, tmp_path):
    """Read the settings with these values and no others of ours in the environment."""
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    monkeypatch.setattr("dashboard.logs.configure_logging", lambda **_: None)  # the process keeps its own

    def read_settings(**values: str) -> dict[str, Any]:
        for name, value in {**GOOD, "MAILWARDEN_DATA_DIR": str(tmp_path / "data"), **values}.items():
            monkeypatch.setenv(name, value)
        return runpy.run_path(str(settings.BASE_DIR / "dashboard" / "settings.py"))

    return read_settings


MALFORMED = [
    ({"SECRET_KEY": ""}, "SECRET_KEY must be set to at least 32"),
    ({"SECRET_KEY": "short"}, "SECRET_KEY must be set to at least 32"),
    ({"MAILWARDEN_HTTPS": "ture"}, "MAILWARDEN_HTTPS must be true or false, not 'ture'"),
    ({"MAILWARDEN_BEHIND_PROXY": "maybe"}, "MAILWARDEN_BEHIND_PROXY must be true or false"),
    ({"MAILWARDEN_DEMO": "nope"}, "MAILWARDEN_DEMO must be true or false"),
    ({"MAILWARDEN_LOG_PRETTY": "2"}, "MAILWARDEN_LOG_PRETTY must be true or false"),
    ({"MAILWARDEN_LOG_LEVEL": "LOUD"}, "MAILWARDEN_LOG_LEVEL must be one of DEBUG"),
    ({"MAILWARDEN_PROXY_COUNT": "-1"}, "MAILWARDEN_PROXY_COUNT must be a whole number from 0 to 10"),
    ({"MAILWARDEN_PROXY_COUNT": "one"}, "MAILWARDEN_PROXY_COUNT must be a whole number"),
    ({"MAILWARDEN_CALL_LIMIT": "9"}, "MAILWARDEN_CALL_LIMIT must be a whole number of at least 10"),
    ({"MAILWARDEN_CALL_LIMIT": "٣٠٠"}, "MAILWARDEN_CALL_LIMIT must be a whole number"),
    ({"MAILWARDEN_SEARCH_DEADLINE": "15m"}, "MAILWARDEN_SEARCH_DEADLINE must be a whole number"),
    ({"MAILWARDEN_PAGE_PATIENCE": "0"}, "MAILWARDEN_PAGE_PATIENCE must be a whole number of at least 1"),
    ({"MAILWARDEN_QUIET_SECONDS": "1.5"}, "MAILWARDEN_QUIET_SECONDS must be a whole number"),
    ({"MAILWARDEN_UNDO_SECONDS": "never"}, "MAILWARDEN_UNDO_SECONDS must be a whole number"),
    ({"MAILWARDEN_BODY_RETENTION_HOURS": "1e3"}, "MAILWARDEN_BODY_RETENTION_HOURS must be a whole number"),
    ({"MAILWARDEN_WORKER_THREADS": "2"}, "MAILWARDEN_WORKER_THREADS must be a whole number from 3"),
    ({"MAILWARDEN_CALL_SECONDS": "1"}, "MAILWARDEN_CALL_SECONDS must be a whole number from 2 to 120"),
    ({"MAILWARDEN_CALL_SECONDS": "121"}, "MAILWARDEN_CALL_SECONDS must be a whole number from 2 to 120"),
    ({"MAILWARDEN_LARGE_JOB": "many"}, "MAILWARDEN_LARGE_JOB must be a whole number"),
    ({"MAILWARDEN_SECOND_PERSON": "purge, larger"}, "MAILWARDEN_SECOND_PERSON must be some of purge, release"),
    ({"MAILWARDEN_APPROVAL_HOURS": "0"}, "MAILWARDEN_APPROVAL_HOURS must be a whole number from 1 to 720"),
    ({"MAILWARDEN_BULK_LIMIT": "0"}, "MAILWARDEN_BULK_LIMIT must be a whole number of at least 1"),
    ({"MAILWARDEN_SWEEP_SECONDS": "0"}, "MAILWARDEN_SWEEP_SECONDS must be a whole number from 1 to 60"),
    ({"MAILWARDEN_SWEEP_SECONDS": "61"}, "MAILWARDEN_SWEEP_SECONDS must be a whole number from 1 to 60"),
    ({"MAILWARDEN_PRIVACY": "often"}, "MAILWARDEN_PRIVACY must be true or false"),
    ({"MAILWARDEN_EXPORTS_PER_HOUR": "0"}, "MAILWARDEN_EXPORTS_PER_HOUR must be a whole number of at least 1"),
    ({"MAILWARDEN_AUDIT_SYSLOG": "logs.example"}, "MAILWARDEN_AUDIT_SYSLOG cannot be used: it must begin with udp://"),
    ({"MAILWARDEN_AUDIT_WEBHOOK": "http://logs.example/"}, "MAILWARDEN_AUDIT_WEBHOOK cannot be used: it must begin"),
    ({"MAILWARDEN_AUDIT_WEBHOOK": "https://logs.example/"}, "MAILWARDEN_AUDIT_WEBHOOK_SECRET must be set to at least"),
    ({"MAILWARDEN_DATA_DIR": "/dev/null/data"}, "MAILWARDEN_DATA_DIR must be a folder"),
    ({"MAILWARDEN_IDLE_MINUTES": "29"}, "MAILWARDEN_IDLE_MINUTES must be a whole number from 30 to 1440"),
    ({"MAILWARDEN_MFA_ROLES": "analyst, admins"}, "MAILWARDEN_MFA_ROLES must be some of analyst"),
    ({"MAILWARDEN_FACTOR_KEY": f"{'k' * 32},{SECRET}"}, "MAILWARDEN_FACTOR_KEY must be keys of at least 32"),
    ({"MAILWARDEN_ADDRESS": "desk.corp.example"}, "MAILWARDEN_ADDRESS must look like https://desk.corp.example"),
    ({"MAILWARDEN_ADDRESS": "https://desk.corp.example/x"}, "MAILWARDEN_ADDRESS must look like"),
    ({"MAILWARDEN_EMAIL_URL": f"smtp://desk:{SECRET}@mail:25"}, "MAILWARDEN_ADDRESS must be set where"),
    (
        {"MAILWARDEN_ADDRESS": "https://desk.example", "MAILWARDEN_EMAIL_URL": f"post://desk:{SECRET}@mail"},
        "MAILWARDEN_EMAIL_URL must look like smtp",
    ),
    (
        {
            "MAILWARDEN_ADDRESS": "https://desk.example",
            "MAILWARDEN_EMAIL_URL": "smtp://mail:25",
            "MAILWARDEN_EMAIL_FROM": "the desk",
        },
        "MAILWARDEN_EMAIL_FROM must be one e-mail address",
    ),
    ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS must be host names"),
    ({"ALLOWED_HOSTS": "https://desk.corp.example"}, "ALLOWED_HOSTS must be host names"),
    ({"ALLOWED_HOSTS": "desk.corp.example:443"}, "ALLOWED_HOSTS must be host names"),
    ({"CSRF_TRUSTED_ORIGINS": "desk.corp.example"}, "CSRF_TRUSTED_ORIGINS must be origins"),
    ({"CSRF_TRUSTED_ORIGINS": "https://desk.corp.example/"}, "CSRF_TRUSTED_ORIGINS must be origins"),
    ({"CLOUDFLARE_ACCOUNT_ID": ""}, "CLOUDFLARE_ACCOUNT_ID must be the account's 32"),
    ({"CLOUDFLARE_ACCOUNT_ID": "../accounts/another-one-of-32-ch"}, "CLOUDFLARE_ACCOUNT_ID must be the account's 32"),
    ({"CLOUDFLARE_API_TOKEN": ""}, "Set CLOUDFLARE_API_TOKEN"),
    ({"CLOUDFLARE_API_TOKEN": "", "CLOUDFLARE_API_KEY": "key"}, "Set CLOUDFLARE_API_TOKEN"),
    ({"CLOUDFLARE_API_KEY": "key", "CLOUDFLARE_EMAIL": "a@b.example"}, "not both"),
    ({"CLOUDFLARE_API_TOKEN": f"Bearer {SECRET}"}, "CLOUDFLARE_API_TOKEN cannot be used: the API token must be print"),
    ({"CLOUDFLARE_READ_TOKEN": f"{SECRET} x"}, "CLOUDFLARE_READ_TOKEN cannot be used"),
    (
        {"CLOUDFLARE_API_TOKEN": "", "CLOUDFLARE_API_KEY": f"{SECRET} x", "CLOUDFLARE_EMAIL": "a@b.example"},
        "CLOUDFLARE_API_KEY cannot be used",
    ),
    ({"CLOUDFLARE_BASE_URL": "http://api.cloudflare.com/client/v4"}, "the base URL must be https"),
    ({"CLOUDFLARE_BASE_URL": "api.cloudflare.com"}, "the base URL must be a complete https:// address"),
    ({"CLOUDFLARE_BASE_URL": f"https://ana:{SECRET}@api.example/"}, "must not hold credentials"),
    ({"CLOUDFLARE_BASE_URL": "https://api.example?x=1"}, "must not hold credentials, a query"),
    ({"CLOUDFLARE_BASE_URL": "https://api.example:port/"}, "CLOUDFLARE_BASE_URL cannot be used"),
    ({"CLOUDFLARE_BASE_URL": "https://[::1/"}, "CLOUDFLARE_BASE_URL cannot be used"),
    ({"DATABASE_URL": f"mysql://desk:{SECRET}@db/desk"}, "DATABASE_URL must look like postgres://"),
    ({"DATABASE_URL": f"postgres://desk:{SECRET}@db/"}, "DATABASE_URL must look like postgres://"),
    ({"DATABASE_URL": f"postgres://desk:{SECRET}@db:port/desk"}, "DATABASE_URL has a host or port"),
    ({"REDIS_URL": f":{SECRET}@redis:6379/0"}, "REDIS_URL must look like redis://"),
    ({"REDIS_URL": "http://redis:6379/0"}, "REDIS_URL must look like redis://"),
    ({"REDIS_URL": "redis://"}, "REDIS_URL must look like redis://"),
    ({"MAILWARDEN_OIDC_ISSUER": "https://login.corp.example"}, "sign-on needs MAILWARDEN_OIDC_CLIENT_ID as well."),
    ({"MAILWARDEN_SSO_ONLY": "true"}, "MAILWARDEN_SSO_ONLY needs single sign-on"),
]


@pytest.mark.parametrize(("values", "sentence"), MALFORMED, ids=[" ".join(values) for values, _ in MALFORMED])
def test_a_malformed_value_stops_the_start_with_a_sentence(read, values, sentence):
    with pytest.raises(ImproperlyConfigured) as refusal:
        read(**values)

    told = str(refusal.value)
    assert sentence in told
    assert "\n" not in told
    assert SECRET not in told


def test_nothing_but_the_account_is_needed(read):
    values = read()

    assert values["HTTPS"] is True
    assert values["SESSION_COOKIE_SECURE"] is True
    assert values["SECURE_PROXY_SSL_HEADER"] is None
    assert values["ALLOWED_HOSTS"] == ["127.0.0.1", "localhost", "[::1]"]
    assert values["DATABASES"]["default"]["ENGINE"] == "django.db.backends.sqlite3"
    assert values["CELERY_BROKER_URL"].startswith("embedded://")
    assert values["SENDS_MAIL"] is False
    assert values["MFA_ROLES"] == frozenset()


@pytest.mark.parametrize(
    ("value", "takes_two"),
    [
        (None, {"purge", "release_malicious", "large", "unprotect"}),
        ("", set()),
        (" , ", set()),
        ("Purge,large", {"purge", "large"}),
    ],
)
def test_what_takes_a_second_person_is_named_and_nothing_is_a_name_too(read, value, takes_two):
    assert read(**({} if value is None else {"MAILWARDEN_SECOND_PERSON": value}))["SECOND_PERSON"] == takes_two


def test_a_value_of_nothing_is_the_default(read):
    """Compose files and shells set variables to nothing where a person left them out."""
    values = read(MAILWARDEN_HTTPS="", MAILWARDEN_CALL_LIMIT=" ", DATABASE_URL="", REDIS_URL="", ALLOWED_HOSTS="")

    assert values["HTTPS"] is True
    assert values["CALL_LIMIT"] == 1200
    assert values["ALLOWED_HOSTS"] == ["127.0.0.1", "localhost", "[::1]"]


@pytest.mark.parametrize(
    ("word", "meaning"), [("true", True), ("YES", True), ("1", True), ("False", False), ("off", False), ("0", False)]
)
def test_flags_know_the_usual_words(read, word, meaning):
    assert read(MAILWARDEN_HTTPS=word)["HTTPS"] is meaning


def test_production_values_are_read(read):
    values = read(
        DATABASE_URL="postgres://desk:p%40ss@db.corp.example:5433/desk",
        REDIS_URL="rediss://:pass@redis.corp.example:6380/1",
        ALLOWED_HOSTS="desk.corp.example, .example.com",
        CSRF_TRUSTED_ORIGINS="https://desk.corp.example",
        MAILWARDEN_BEHIND_PROXY="true",
        CLOUDFLARE_BASE_URL="https://api.cloudflare.com/client/v4/",
    )

    database = values["DATABASES"]["default"]
    assert (database["HOST"], database["PORT"], database["PASSWORD"]) == ("db.corp.example", 5433, "p@ss")
    assert values["CELERY_BROKER_URL"] == "rediss://:pass@redis.corp.example:6380/1"
    assert values["ALLOWED_HOSTS"] == ["desk.corp.example", ".example.com"]
    assert values["SECURE_PROXY_SSL_HEADER"] == ("HTTP_X_FORWARDED_PROTO", "https")
    assert values["CLOUDFLARE_BASE_URL"] == "https://api.cloudflare.com/client/v4"


def test_mail_is_set_up_by_one_url(read):
    values = read(
        MAILWARDEN_ADDRESS="https://desk.corp.example/", MAILWARDEN_EMAIL_URL="smtp+tls://desk:p%40ss@mail.example:587"
    )

    assert values["SENDS_MAIL"] is True
    assert values["ADDRESS"] == "https://desk.corp.example"
    assert (values["EMAIL_HOST"], values["EMAIL_PORT"], values["EMAIL_USE_TLS"]) == ("mail.example", 587, True)
    assert values["EMAIL_HOST_PASSWORD"] == "p@ss"
    assert values["DEFAULT_FROM_EMAIL"] == "mailwarden@desk.corp.example"


@pytest.mark.parametrize("seconds", ["2", "45", "120"])
def test_a_task_may_take_longer_than_what_it_does(read, seconds):
    """A step of a job sends chunks for half a minute, and the last of them may take a whole call."""
    values = read(MAILWARDEN_CALL_SECONDS=seconds)

    longest = engine.STEP_SECONDS + int(seconds) + sending.STALE_CHUNK_SECONDS
    assert longest < values["CELERY_TASK_SOFT_TIME_LIMIT"] < values["CELERY_TASK_TIME_LIMIT"]


def test_redis_gives_nothing_twice_that_may_still_be_running(read):
    """Celery takes the shorter of two timeouts, and a message that is due later waits within it."""
    values = read(REDIS_URL="redis://redis:6379/0", MAILWARDEN_CALL_SECONDS="120")

    options = values["CELERY_BROKER_TRANSPORT_OPTIONS"]
    assert options["visibility_timeout"] == values["CELERY_VISIBILITY_TIMEOUT"]
    assert options["visibility_timeout"] > 2 * (values["CELERY_TASK_TIME_LIMIT"] + runs.LONGEST_BELL)
    assert values["CELERY_WORKER_PREFETCH_MULTIPLIER"] == 1
    assert values["CELERY_TASK_ACKS_LATE"] is values["CELERY_TASK_REJECT_ON_WORKER_LOST"] is True
    assert 0 < options["socket_timeout"] <= 5
    assert 0 < options["socket_connect_timeout"] <= 5


def run(*command: str, **values: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith((*OURS, "DJANGO_"))}
    return subprocess.run(
        [sys.executable, *command], cwd=settings.BASE_DIR, env={**env, **GOOD, **values},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_a_command_says_the_sentence_and_no_traceback(tmp_path):
    done = run("manage.py", "migrate", MAILWARDEN_DATA_DIR=str(tmp_path), MAILWARDEN_HTTPS="ture")

    assert done.returncode == 1
    assert done.stderr == "Mailwarden cannot start. MAILWARDEN_HTTPS must be true or false, not 'ture'.\n"


@pytest.mark.parametrize(
    ("values", "bind", "sentence"),
    [
        ({"MAILWARDEN_DEMO": "true"}, "0.0.0.0:0", "must be bound to 127.0.0.1"),
        ({"MAILWARDEN_DEMO": "true"}, "[::]:0", "must be bound to 127.0.0.1"),
        ({"MAILWARDEN_DEMO": "ja"}, "127.0.0.1:0", "MAILWARDEN_DEMO must be true or false"),
        ({"MAILWARDEN_WEB_THREADS": "many"}, "127.0.0.1:0", "MAILWARDEN_WEB_THREADS must be a whole number"),
        ({"MAILWARDEN_WEB_PROCESSES": "0"}, "127.0.0.1:0", "MAILWARDEN_WEB_PROCESSES must be a whole number"),
    ],
)
def test_the_web_server_refuses_what_would_be_unsafe_or_is_malformed(tmp_path, values, bind, sentence):
    done = run(
        "-m", "gunicorn", "--config", "dashboard/gunicorn.py", "--bind", bind, "dashboard.wsgi",
        MAILWARDEN_DATA_DIR=str(tmp_path), **values,
    )  # fmt: skip

    assert done.returncode
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
