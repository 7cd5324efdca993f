"""A click does not wait for a broker that is away, and only briefly for one that is frozen."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from django.conf import settings

CLICK = """
import time
import django
django.setup()
from investigate.actions import services
from investigate.models import Action
services.ring(Action())  # the first bell of a process also loads the broker's client
started = time.monotonic()
print(services.ring(Action()), time.monotonic() - started)
"""


@pytest.mark.matrix(3, 4)
@pytest.mark.parametrize(("is_frozen", "most"), [(True, 3.0), (False, 1.0)], ids=["frozen", "away"])
def test_how_long_a_click_waits_for_the_broker(*, is_frozen: bool, most: float) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if is_frozen:
            silent.listen(8)  # the kernel takes the connection, and nobody ever answers
        env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PYTHONPATH": str(settings.BASE_DIR),
            "REDIS_URL": f"redis://127.0.0.1:{silent.getsockname()[1]}/0",
        }
        done = subprocess.run(
            [sys.executable, "-c", CLICK],
            env=env,
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )

    rang, seconds = done.stdout.split()[-2:]
    assert rang == "False"
    assert float(seconds) < most
