"""One installation for each way to run, shared by the tests of a file; each test begins with everything mended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.faults.installation import Installation, start_installation


def _installation(folder_of: pytest.TempPathFactory, *, is_production: bool) -> Iterator[Installation]:
    with ExitStack() as resources:
        folder = folder_of.mktemp("production" if is_production else "embedded")
        yield start_installation(folder, resources, is_production=is_production)


@pytest.fixture(scope="module")
def embedded_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    yield from _installation(tmp_path_factory, is_production=False)


@pytest.fixture(scope="module")
def production_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    yield from _installation(tmp_path_factory, is_production=True)


@pytest.fixture
def embedded(embedded_installation: Installation) -> Installation:
    """SQLite, the broker of plain files, one worker for everything."""
    embedded_installation.mend()
    return embedded_installation


@pytest.fixture
def production(production_installation: Installation) -> Installation:
    """PostgreSQL, Redis, and the workers of docker-compose.yml, started by the container's own script."""
    production_installation.mend()
    return production_installation
