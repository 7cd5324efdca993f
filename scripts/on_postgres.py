"""Run a command with DATABASE_URL naming a fresh PostgreSQL: `on_postgres.py python -m pytest tests/...`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests import servers  # the repository's root must be on the path first


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="mailwarden-postgres-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the server runs as another user where this one is root
        try:
            with servers.postgres_server(folder) as url:
                return subprocess.run(sys.argv[1:], env={**os.environ, "DATABASE_URL": url}, check=False).returncode  # noqa: S603
        except pytest.skip.Exception as reason:
            print(f"not run on PostgreSQL: {reason}")  # noqa: T201
            return 0
        except pytest.fail.Exception as reason:  # no server although REQUIRE_SERVICES is set, or one that fails
            print(f"PostgreSQL: {reason}", file=sys.stderr)  # noqa: T201
            return 1


if __name__ == "__main__":
    sys.exit(main())
