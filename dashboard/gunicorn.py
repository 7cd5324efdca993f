"""gunicorn's settings. Waiting for the API is what most requests do, so threads are many and processes few."""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from dashboard.environment import flag, number, text

try:
    is_demo = flag("MAILWARDEN_DEMO", default=False)
    workers = number("MAILWARDEN_WEB_PROCESSES", 2, least=1, most=64)
    threads = number("MAILWARDEN_WEB_THREADS", 32, least=1, most=1024)  # each may hold a database connection
except ImproperlyConfigured as error:
    sys.exit(str(error))

wsgi_app = "dashboard.wsgi"
bind = text("MAILWARDEN_BIND", "127.0.0.1:8000")
worker_class = "gthread"
preload_app = True  # the code is loaded once and shared by the processes
timeout = 60
graceful_timeout = 30
keepalive = 5
limit_request_line = 8190
forwarded_allow_ips = text("MAILWARDEN_PROXY_ADDRESSES", "127.0.0.1")
accesslog = None  # the application writes its own line for each request, without query strings
loglevel = "warning"
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108  heartbeats of workers, kept off the disk


def on_starting(server: Any) -> None:
    """A demo's passwords are printed in its source: it never listens where others could reach it.

    Asked here because `--bind` on the command line comes after this file.
    """
    if is_demo and not all(_is_this_machine(address) for address in server.cfg.address):
        sys.exit("A demo (MAILWARDEN_DEMO=true) has public passwords and must be bound to 127.0.0.1.")


def _is_this_machine(address: object) -> bool:
    """gunicorn's addresses are (host, port), or the path of a socket, which is on this machine."""
    if not isinstance(address, tuple):
        return isinstance(address, str)
    try:
        return address[0] == "localhost" or ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return False
