"""All settings, read from the environment; a missing or malformed value stops the start with one sentence.

Embedded mode (nothing set): SQLite and a broker of plain files below MAILWARDEN_DATA_DIR.
Production: DATABASE_URL names PostgreSQL and REDIS_URL names Redis. Nothing else differs.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from dashboard.access.oidc_settings import read_single_sign_on, read_sso_only
from dashboard.access.roles import Role
from dashboard.audit.targets import SHORTEST_SECRET, syslog_target, webhook_target
from dashboard.emailsec.credentials import KeyCredentials, TokenCredentials
from dashboard.emailsec.paths import checked_base_url
from dashboard.environment import choice, flag, names, names_of, number, text
from dashboard.installation.described import bounds, names_that_take_two
from dashboard.logs import configure_logging

BASE_DIR = Path(__file__).resolve().parent.parent


def _refuse(sentence: str) -> None:
    raise ImproperlyConfigured(sentence)


DEBUG = False
SECRET_KEY = text("SECRET_KEY")
if len(SECRET_KEY) < 32:
    _refuse("SECRET_KEY must be set to at least 32 random characters (`make run` and `make demo` make one for you).")

HTTPS = flag("MAILWARDEN_HTTPS", default=True)
BEHIND_PROXY = flag("MAILWARDEN_BEHIND_PROXY", default=False)
PROXY_COUNT = number("MAILWARDEN_PROXY_COUNT", 0, most=10)  # proxies in front that write X-Forwarded-For
DEMO = flag("MAILWARDEN_DEMO", default=False)  # gunicorn's settings keep a demo on this machine

ALLOWED_HOSTS = names("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])
for _host in ALLOWED_HOSTS:
    if not re.fullmatch(r"\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]", _host, re.IGNORECASE):
        _refuse(f"ALLOWED_HOSTS must be host names between commas, without scheme, port or *; {_host!r} is none.")
CSRF_TRUSTED_ORIGINS = names("CSRF_TRUSTED_ORIGINS", [])
for _origin in CSRF_TRUSTED_ORIGINS:
    if not re.fullmatch(r"https?://(\*\.)?[a-z0-9_.\[\]:-]+", _origin, re.IGNORECASE):
        _refuse(f"CSRF_TRUSTED_ORIGINS must be origins such as https://desk.corp.example; {_origin!r} is none.")

DATA_DIR = Path(text("MAILWARDEN_DATA_DIR", str(BASE_DIR / "var")))
try:
    DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
except OSError as _error:
    _refuse(f"MAILWARDEN_DATA_DIR must be a folder that can be made and written: {_error.strerror}.")

# --- the account at Cloudflare ------------------------------------------------------------------------------------

CLOUDFLARE_ACCOUNT_ID = text("CLOUDFLARE_ACCOUNT_ID")
CLOUDFLARE_API_TOKEN = text("CLOUDFLARE_API_TOKEN")
CLOUDFLARE_READ_TOKEN = text("CLOUDFLARE_READ_TOKEN")
CLOUDFLARE_EMAIL = text("CLOUDFLARE_EMAIL")
CLOUDFLARE_API_KEY = text("CLOUDFLARE_API_KEY")

if not re.fullmatch(r"[0-9a-f]{32}", CLOUDFLARE_ACCOUNT_ID):
    _refuse(
        "CLOUDFLARE_ACCOUNT_ID must be the account's 32 hexadecimal characters, as the Cloudflare dashboard shows it."
    )
if CLOUDFLARE_API_TOKEN and (CLOUDFLARE_EMAIL or CLOUDFLARE_API_KEY):
    _refuse("Set either CLOUDFLARE_API_TOKEN or CLOUDFLARE_EMAIL with CLOUDFLARE_API_KEY, not both.")
if not CLOUDFLARE_API_TOKEN and not (CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY):
    _refuse("Set CLOUDFLARE_API_TOKEN (with Cloud Email Security: Write), or CLOUDFLARE_EMAIL with CLOUDFLARE_API_KEY.")
for _name, _check in (
    ("CLOUDFLARE_API_TOKEN", lambda: CLOUDFLARE_API_TOKEN and TokenCredentials(CLOUDFLARE_API_TOKEN)),
    ("CLOUDFLARE_READ_TOKEN", lambda: CLOUDFLARE_READ_TOKEN and TokenCredentials(CLOUDFLARE_READ_TOKEN)),
    ("CLOUDFLARE_API_KEY", lambda: CLOUDFLARE_API_KEY and KeyCredentials(CLOUDFLARE_EMAIL, CLOUDFLARE_API_KEY)),
):
    try:
        _check()
    except ValueError as _error:
        _refuse(f"{_name} cannot be used: {_error}.")
try:
    CLOUDFLARE_BASE_URL = checked_base_url(text("CLOUDFLARE_BASE_URL", "https://api.cloudflare.com/client/v4"))
    urlsplit(CLOUDFLARE_BASE_URL).port  # noqa: B018  raises where it is no number
except ValueError as _error:
    _refuse(f"CLOUDFLARE_BASE_URL cannot be used: {_error}.")

CALL_LIMIT = number(
    "MAILWARDEN_CALL_LIMIT", 1200, least=10
)  # calls per credential in 5 minutes; the service allows 1,200
SEARCH_DEADLINE = number("MAILWARDEN_SEARCH_DEADLINE", 900, least=10)  # seconds until a slow search is given up
PAGE_PATIENCE = number("MAILWARDEN_PAGE_PATIENCE", 4, least=1)  # seconds a page waits before a worker takes over
PARALLEL_READS = True  # a page asks for its parts side by side
QUIET_SECONDS = number("MAILWARDEN_QUIET_SECONDS", 30)  # before an unanswered write is looked up
UNDO_SECONDS = number("MAILWARDEN_UNDO_SECONDS", 8)  # undo window of members who have not chosen their own
CALL_SECONDS = number(
    "MAILWARDEN_CALL_SECONDS", 45, least=2, most=120
)  # everything about one write; a claim lasts twice
LARGE_JOB = number(
    "MAILWARDEN_LARGE_JOB", 1000, **bounds("LARGE_JOB")
)  # messages; more in one job need a right of their own
SECOND_PERSON = names_of(
    "MAILWARDEN_SECOND_PERSON", names_that_take_two()
)  # what takes a second person; set to nothing: nothing does
APPROVAL_HOURS = number("MAILWARDEN_APPROVAL_HOURS", 24, **bounds("APPROVAL_HOURS"))  # until a request expires
BULK_LIMIT = number("MAILWARDEN_BULK_LIMIT", 100_000, **bounds("BULK_LIMIT"))  # messages one job takes at most
ACCEPT_DAYS = number("MAILWARDEN_ACCEPT_DAYS", 90, **bounds("ACCEPT_DAYS"))  # the longest life of a rule for one sender
LISTS_MINUTES = number("MAILWARDEN_LISTS_MINUTES", 60, least=5, most=24 * 60)  # between readings of whole lists
END_NOTICE_DAYS = number(
    "MAILWARDEN_END_NOTICE_DAYS", 7, **bounds("END_NOTICE_DAYS")
)  # an end is announced so long before
SWEEP_SECONDS = number("MAILWARDEN_SWEEP_SECONDS", 15, least=1, most=60)  # how often due work is looked for
BODY_RETENTION_HOURS = number(
    "MAILWARDEN_BODY_RETENTION_HOURS", 24, **bounds("BODY_RETENTION_HOURS")
)  # how long fetched previews and raw mail are kept

# --- privacy and the audit trail ----------------------------------------------------------------------------------

PRIVACY = flag("MAILWARDEN_PRIVACY", default=False)  # what senders wrote is covered until a reason is given
EXPORTS_PER_HOUR = number("MAILWARDEN_EXPORTS_PER_HOUR", 20, **bounds("EXPORTS_PER_HOUR"))  # files one member may take
AUDIT_SYSLOG = text("MAILWARDEN_AUDIT_SYSLOG")  # udp://, tcp:// or tls:// host:port; gets every row of the trail
AUDIT_WEBHOOK = text("MAILWARDEN_AUDIT_WEBHOOK")  # an https address that gets the same in signed batches
AUDIT_WEBHOOK_SECRET = text("MAILWARDEN_AUDIT_WEBHOOK_SECRET")
for _name, _read, _value in (
    ("MAILWARDEN_AUDIT_SYSLOG", syslog_target, AUDIT_SYSLOG),
    ("MAILWARDEN_AUDIT_WEBHOOK", webhook_target, AUDIT_WEBHOOK),
):
    try:
        _ = _value and _read(_value)
    except ValueError as _error:
        _refuse(f"{_name} cannot be used: {_error}.")
if AUDIT_WEBHOOK and len(AUDIT_WEBHOOK_SECRET) < SHORTEST_SECRET:
    _refuse(f"MAILWARDEN_AUDIT_WEBHOOK_SECRET must be set to at least {SHORTEST_SECRET} random characters.")
CLAIM_MINUTES = number(
    "MAILWARDEN_CLAIM_MINUTES", 15, **bounds("CLAIM_MINUTES")
)  # away for so long, a member's claim on a case ends
OVERDUE_HOURS = number(
    "MAILWARDEN_OVERDUE_HOURS", 4, **bounds("OVERDUE_HOURS")
)  # a case, from when it came onto the desk
QUEUE_DAYS = number("MAILWARDEN_QUEUE_DAYS", 2, least=1, most=30)  # how far back the queue reads when it first starts
MEMORY_ALL_MAIL = choice("MAILWARDEN_MEMORY", "DETECTIONS", ("DETECTIONS", "ALL")) == "ALL"  # what is remembered
MEMORY_DAYS = number("MAILWARDEN_MEMORY_DAYS", 90, **bounds("MEMORY_DAYS"))  # then a remembered message is forgotten
MEMORY_FIRST_DAYS = number("MAILWARDEN_MEMORY_FIRST_DAYS", 7, least=1, most=30)  # how far back it first reads
EVIDENCE_DAYS = number("MAILWARDEN_EVIDENCE_DAYS", 365, **bounds("EVIDENCE_DAYS"))  # then a sealed raw file is deleted
COLLECTOR_SHARE = number(
    "MAILWARDEN_COLLECTOR_SHARE", 25, **bounds("COLLECTOR_SHARE")
)  # percent of the calls it may use up
VIEW_MINUTES = number("MAILWARDEN_VIEW_MINUTES", 5, **bounds("VIEW_MINUTES"))  # between two readings of a saved view
NOTICE_DAYS = number("MAILWARDEN_NOTICE_DAYS", 90, **bounds("NOTICE_DAYS"))  # how long the list of sent notices is kept
NOTICE_HOSTS = frozenset(names("MAILWARDEN_NOTICE_HOSTS", []))  # receivers on private addresses: host or host:port
QUEUE_DISPOSITIONS = [
    name.upper()
    for name in names("MAILWARDEN_QUEUE_DISPOSITIONS", ["MALICIOUS", "MALICIOUS-BEC", "SUSPICIOUS", "SPOOF"])
]
for _name in QUEUE_DISPOSITIONS:
    if not re.fullmatch(r"[A-Z][A-Z_-]{0,38}", _name):
        _refuse(f"MAILWARDEN_QUEUE_DISPOSITIONS must be dispositions between commas; {_name!r} is none.")

# --- Django -------------------------------------------------------------------------------------------------------

ROOT_URLCONF = "dashboard.urls"
WSGI_APPLICATION = "dashboard.wsgi.application"
AUTH_USER_MODEL = "access.Member"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "dashboard",
    "dashboard.access",
    "dashboard.audit",
    "dashboard.installation",
    "dashboard.overview",
    "dashboard.upstream",
    "investigate",
    "settings_ui",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "csp",
    "django_htmx",
]
MIDDLEWARE = [
    "dashboard.web.proxy.ClientAddressMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "dashboard.web.middleware.SafeHeadersMiddleware",
    "dashboard.upstream.health.HealthMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "dashboard.access.middleware.SessionEndMiddleware",
    "dashboard.web.middleware.RequestLogMiddleware",
    "dashboard.web.middleware.HtmxSignInMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "dashboard.access.middleware.SecondFactorMiddleware",
    "dashboard.web.middleware.ErrorPagesMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "dashboard.web.context.frame",
            ],
            "builtins": ["dashboard.templatetags.mailwarden"],
            "libraries": {"django_htmx": "django_htmx.templatetags.django_htmx"},
            "loaders": [("django.template.loaders.cached.Loader", ["django.template.loaders.filesystem.Loader"])],
        },
    },
]

if _database_url := text("DATABASE_URL"):
    if not re.match(r"postgres(ql)?://[^/]*/[^/?]+", _database_url):
        _refuse("DATABASE_URL must look like postgres://user:password@host:5432/name (nothing set means SQLite).")
    try:
        DATABASES = {"default": environ.Env.db_url_config(_database_url)}
    except ValueError:  # its text may quote the password
        raise ImproperlyConfigured("DATABASE_URL has a host or port that cannot be read.") from None
else:
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA_DIR / "mailwarden.sqlite3"}}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Readers never wait for the writer; a read-then-write transaction takes its lock at once instead of failing later.
    # The cache stays small: each thread has a connection and a cache of its own, and the system keeps the file as well.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA foreign_keys=ON;PRAGMA cache_size=-2000;"
        ),
    }
else:
    DATABASES["default"].setdefault("OPTIONS", {})["options"] = "-c lock_timeout=5000 -c statement_timeout=30000"
DATABASES["default"]["CONN_MAX_AGE"] = 600
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

CACHES = {"default": {"BACKEND": "dashboard.access.kept.KeptCache"}}  # a table, values in JSON: only sign-in uses it
SESSION_SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_NAME = "__Host-mailwarden" if HTTPS else "mailwarden"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "dashboard.web.errors.csrf_failed"
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = (
    "same-origin"  # "no-referrer" would make Chromium send `Origin: null` and Django refuse every form
)
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "connect-src": [SELF],
        "frame-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
    }
}

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]

# --- sign-in ------------------------------------------------------------------------------------------------------
# django-allauth does it; dashboard/access says which parts are offered, and counts every attempt itself.

ADDRESS = text("MAILWARDEN_ADDRESS").rstrip("/")  # where people reach this desk; links in mail start with it
if ADDRESS and not re.fullmatch(r"https?://[a-z0-9_.-]+(:[0-9]{1,5})?", ADDRESS, re.IGNORECASE):
    _refuse(f"MAILWARDEN_ADDRESS must look like https://desk.corp.example, without a path; {ADDRESS!r} does not.")
SENDS_MAIL = bool(text("MAILWARDEN_EMAIL_URL"))
if SENDS_MAIL:
    if not ADDRESS:
        _refuse("MAILWARDEN_ADDRESS must be set where MAILWARDEN_EMAIL_URL is: links in mail start with it.")
    try:
        vars().update(environ.Env.email_url_config(text("MAILWARDEN_EMAIL_URL")))
    except (ValueError, KeyError, ImproperlyConfigured):  # its text may quote the password
        raise ImproperlyConfigured("MAILWARDEN_EMAIL_URL must look like smtp+tls://user:password@host:587.") from None
    EMAIL_TIMEOUT = 10
    DEFAULT_FROM_EMAIL = text("MAILWARDEN_EMAIL_FROM", f"mailwarden@{urlsplit(ADDRESS).hostname}")
    if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", DEFAULT_FROM_EMAIL):
        _refuse(f"MAILWARDEN_EMAIL_FROM must be one e-mail address; {DEFAULT_FROM_EMAIL!r} is none.")
IDLE_MINUTES = number("MAILWARDEN_IDLE_MINUTES", 480, least=30, most=1440)  # without activity, then a session ends
FACTOR_KEYS = names("MAILWARDEN_FACTOR_KEY", [])  # the first encrypts second factors, all decrypt
for _key in FACTOR_KEYS:
    if len(_key) < 32:
        _refuse("MAILWARDEN_FACTOR_KEY must be keys of at least 32 random characters, between commas.")
MFA_ROLES = frozenset(names("MAILWARDEN_MFA_ROLES", []))  # whose members need a second factor
if not set(Role) >= MFA_ROLES:
    _refuse(f"MAILWARDEN_MFA_ROLES must be some of {', '.join(Role)} between commas.")

LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/investigate/"
LOGOUT_REDIRECT_URL = "account_login"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
ACCOUNT_ADAPTER = "dashboard.access.adapter.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_LOGIN_TIMEOUT = 600  # seconds between the password and the second factor
ACCOUNT_RATE_LIMITS = False  # dashboard/access/throttle.py counts instead: nobody can lock a colleague out
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_USER_DISPLAY = "dashboard.access.adapter.display_name"
ACCOUNT_FORMS = {
    "login": "dashboard.access.proving.SignInForm",
    "reauthenticate": "dashboard.access.proving.ProveByPasswordForm",
    "change_password": "dashboard.access.proving.NewPasswordForm",
    "reset_password": "dashboard.access.proving.ResetForm",
    "reset_password_from_key": "dashboard.access.proving.ResetPasswordForm",
}
MFA_FORMS = {
    "authenticate": "dashboard.access.proving.SecondStepForm",
    "authenticate_webauthn": "dashboard.access.proving.SecondStepPasskeyForm",
    "reauthenticate": "dashboard.access.proving.ProveByCodeForm",
    "reauthenticate_webauthn": "dashboard.access.proving.ProveByPasskeyForm",
    "activate_totp": "dashboard.access.proving.SetUpAppForm",
    "add_webauthn": "dashboard.access.proving.AddPasskeyForm",
    "login_webauthn": "dashboard.access.proving.PasskeySignInForm",
}
MFA_ADAPTER = "dashboard.access.adapter.FactorAdapter"
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RATE_LIMITS = False
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_RECOVERY_CODE_DIGITS = 10
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "Mailwarden"
MFA_TOTP_TOLERANCE = 1
MFA_WEBAUTHN_USER_VERIFICATION = "required"

# --- single sign-on -----------------------------------------------------------------------------------------------
# One OpenID Connect provider; dashboard/access/oidc.py says what is checked, and what groups grant.

SINGLE_SIGN_ON = read_single_sign_on()
SSO_ONLY = read_sso_only(SINGLE_SIGN_ON)  # passwords are for break-glass members alone
SOCIALACCOUNT_ADAPTER = "dashboard.access.oidc.SocialAdapter"
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False  # nobody is known by an e-mail address

LANGUAGE_CODE = "en-gb"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {"staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True

DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 2_500_000

# --- Celery -------------------------------------------------------------------------------------------------------
# The broker only rings the bell: rows in the database say what is to be done, and the sweep finds what nobody holds.

REDIS_URL = text("REDIS_URL")
if REDIS_URL:
    if not re.fullmatch(r"rediss?://[^/\s]+(/[0-9]+)?(\?\S*)?", REDIS_URL):
        _refuse("REDIS_URL must look like redis://:password@host:6379/0, or rediss:// (nothing set means plain files).")
    CELERY_BROKER_URL = REDIS_URL
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": 600,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "health_check_interval": 25,
    }
    CELERY_VISIBILITY_TIMEOUT = 600
else:
    CELERY_BROKER_URL = "embedded://localhost//"
    CELERY_BROKER_TRANSPORT_OPTIONS = {"queue_folder": str(DATA_DIR / "queue"), "polling_interval": 0.2}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0.1}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CHANNEL_ERROR_RETRY = True  # a full Redis is such an error, and would end the worker that meets it
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = min(20, CALL_SECONDS)  # waited in full while anything runs
# The worker for jobs has child processes, so that one that hangs or grows is replaced and the others go on. Pools of
# threads know none of these limits. Nothing leans on them: every call of the API, the database and the broker has a
# deadline of its own.
CELERY_TASK_SOFT_TIME_LIMIT = CALL_SECONDS + 45
CELERY_TASK_TIME_LIMIT = CALL_SECONDS + 75
CELERY_WORKER_MAX_TASKS_PER_CHILD = 200
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 200_000  # kilobytes
CELERY_TASK_DEFAULT_QUEUE = "people"
CELERY_BEAT_SCHEDULER = "dashboard.scheduler:Scheduler"
# Due times are columns in the database; the schedule only says how often somebody looks at them. The canaries go
# through the queues: one that comes back proves the worker of its queue and the broker before it.
CELERY_BEAT_SCHEDULE = {
    "sweep": {
        "task": "investigate.tasks.sweep",
        "schedule": float(SWEEP_SECONDS),
        "options": {"expires": 2 * SWEEP_SECONDS},
    },
    **{
        f"canary in {queue}": {
            "task": "dashboard.upstream.tasks.beat",
            "schedule": float(SWEEP_SECONDS),
            "args": [name],
            "options": {"expires": 2 * SWEEP_SECONDS, "queue": queue},
        }
        for queue, name in (("people", "people"), ("sweep", "worker"), ("bulk", "bulk"))
    },
    "verify the trail": {
        "task": "dashboard.audit.tasks.verify_chain",
        "schedule": 60.0,
        "options": {"expires": 120},
    },
    **(
        {
            "stream the trail": {
                "task": "dashboard.audit.tasks.stream_trail",
                "schedule": float(SWEEP_SECONDS),
                "options": {"expires": 2 * SWEEP_SECONDS},
            }
        }
        if AUDIT_SYSLOG or AUDIT_WEBHOOK
        else {}
    ),
    "purge": {"task": "dashboard.upstream.tasks.purge", "schedule": 600.0, "options": {"expires": 1200}},
    "forget jobs": {"task": "investigate.tasks.forget_jobs", "schedule": 3600.0, "options": {"expires": 7200}},
    "forget cases": {"task": "investigate.tasks.forget_cases", "schedule": 3600.0, "options": {"expires": 7200}},
    "forget memory": {"task": "investigate.memory.tasks.forget", "schedule": 3600.0, "options": {"expires": 7200}},
    "forget files": {"task": "settings_ui.tasks.forget_files", "schedule": 600.0, "options": {"expires": 1200}},
}

# Searches take at most half of the threads and jobs at most a quarter: three are the least that leave one for people.
WORKER_THREADS = number("MAILWARDEN_WORKER_THREADS", 16, least=3, most=256)

LOGGING_CONFIG = None
configure_logging(
    level=choice("MAILWARDEN_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")),
    pretty=flag("MAILWARDEN_LOG_PRETTY", default=False),
)
