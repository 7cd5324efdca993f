"""Settings of the test-suite: the real ones, with an account that does not exist and a scratch data folder."""

import atexit
import os
import shutil
import tempfile


def _scratch_folder() -> str:
    """A folder of this run, which processes started from here share and which goes when the run ends."""
    folder, maker = tempfile.mkdtemp(prefix="mailwarden-tests-"), os.getpid()
    atexit.register(lambda: os.getpid() == maker and shutil.rmtree(folder, ignore_errors=True))
    return folder


os.environ.setdefault("SECRET_KEY", "only-for-tests-only-for-tests-only-for-tests")
os.environ.setdefault("CLOUDFLARE_ACCOUNT_ID", "0123456789abcdef0123456789abcdef")
os.environ.setdefault("CLOUDFLARE_API_TOKEN", "write-token-of-the-tests")
os.environ.setdefault("CLOUDFLARE_BASE_URL", "http://127.0.0.1:9/client/v4")
os.environ.setdefault("MAILWARDEN_HTTPS", "false")
if "MAILWARDEN_DATA_DIR" not in os.environ:
    os.environ["MAILWARDEN_DATA_DIR"] = _scratch_folder()
os.environ.setdefault("MAILWARDEN_SECOND_PERSON", "")  # tests about a second person ask for one themselves
os.environ.setdefault("MAILWARDEN_LOG_LEVEL", "WARNING")
# Playwright keeps an event loop in the thread of the tests, which Django would take for asynchronous code.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

from dashboard.settings import *  # noqa: E402, F403  the environment must be complete before the settings are read

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
WHITENOISE_AUTOREFRESH = True
WHITENOISE_USE_FINDERS = True
PARALLEL_READS = False  # most tests run inside one transaction, which other threads cannot see
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # In a file: several connections to SQLite's database in memory lock each other out, and races could not be tested.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "tests.sqlite3")}  # noqa: F405
