"""A broker of plain files, for one machine without a server to install.

kombu's own filesystem transport creates a message's file and then fills it, so that a reader can meet it empty and stop
its worker for good. Here a message is written aside and renamed into place. What a killed worker takes with it is rung
again by the sweep: the database holds the work, this is only the bell.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.utils.json import dumps, loads

LEFTOVER_SECONDS = 3600  # no message is written or read for as long as that


def remove_leftovers(queue_folder: Path) -> None:
    """Delete what killed processes were just writing or reading."""
    for path in queue_folder.glob("*/.*"):
        with contextlib.suppress(FileNotFoundError):  # another process clears away too
            if path.stat().st_mtime < time.time() - LEFTOVER_SECONDS:
                path.unlink()


class Channel(virtual.Channel):
    """One folder a queue; the names of the files sort by time of arrival."""

    def _folder(self, queue: str) -> Path:
        folder = Path(self.connection.client.transport_options["queue_folder"]) / queue
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def _put(self, queue: str, payload: Any, **_: Any) -> None:
        folder = self._folder(queue)
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
        aside = folder / f".{name}"
        aside.write_text(dumps(payload))
        aside.rename(folder / f"{name}.msg")

    def _get(self, queue: str) -> Any:
        folder = self._folder(queue)
        for name in sorted(path.name for path in folder.glob("*.msg")):
            taken = folder / f".{name}.taken"
            try:
                (folder / name).rename(taken)  # only one reader can win this
            except FileNotFoundError:
                continue
            payload = loads(taken.read_text())
            taken.unlink()
            return payload
        raise Empty

    def _size(self, queue: str) -> int:
        return sum(1 for _ in self._folder(queue).glob("*.msg"))

    def _purge(self, queue: str) -> int:
        count = 0
        for path in self._folder(queue).glob("*.msg"):
            path.unlink(missing_ok=True)
            count += 1
        return count


class Transport(virtual.Transport):
    """Bindings are declared by each process for itself and kept in its memory; only messages are shared."""

    Channel = Channel
    global_state = virtual.BrokerState()
    implements = virtual.Transport.implements.extend(asynchronous=False, exchange_type=frozenset(["direct"]))
    driver_type = driver_name = "embedded"

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self.state = self.global_state

    def driver_version(self) -> str:
        return "1"


TRANSPORT_ALIASES["embedded"] = "dashboard.embedded_broker:Transport"
