"""The broker of plain files: nothing read half-written, nothing delivered twice, order kept."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from kombu import Connection, Exchange, Queue

from dashboard.embedded_broker import LEFTOVER_SECONDS, remove_leftovers  # the import registers the transport


def connect(folder: Path) -> Connection:
    return Connection("embedded://", transport_options={"queue_folder": str(folder), "polling_interval": 0.01})


QUEUE = Queue("bells", Exchange("bells", type="direct"), routing_key="bells")


def publish(folder: Path, numbers: range) -> None:
    with connect(folder) as connection, connection.Producer(serializer="json") as producer:
        for number in numbers:
            producer.publish({"number": number}, exchange=QUEUE.exchange, routing_key="bells", declare=[QUEUE])


def test_messages_arrive_once_and_in_order(tmp_path: Path) -> None:
    publish(tmp_path, range(50))
    with connect(tmp_path) as connection:
        queue = connection.SimpleQueue(QUEUE)
        got = [queue.get(timeout=5).payload["number"] for _ in range(50)]
        assert queue.qsize() == 0
        queue.close()

    assert got == list(range(50))


def test_three_writers_and_three_readers_lose_and_double_nothing(tmp_path: Path) -> None:
    got: list[int] = []
    lock, all_read = threading.Lock(), threading.Event()

    def read() -> None:
        with connect(tmp_path) as connection:
            queue = connection.SimpleQueue(QUEUE)
            while not all_read.is_set():
                try:
                    message = queue.get(timeout=0.2)
                except queue.Empty:
                    continue
                message.ack()
                with lock:
                    got.append(message.payload["number"])
                    if len(got) >= 600:
                        all_read.set()
            queue.close()

    threads = [threading.Thread(target=read) for _ in range(3)]
    threads += [threading.Thread(target=publish, args=(tmp_path, range(start, start + 200))) for start in (0, 200, 400)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(got) == list(range(600))


def test_a_message_not_acknowledged_goes_back_when_its_reader_leaves(tmp_path: Path) -> None:
    publish(tmp_path, range(1))
    with connect(tmp_path) as connection:
        connection.SimpleQueue(QUEUE).get(timeout=5)

    with connect(tmp_path) as connection:
        assert connection.SimpleQueue(QUEUE).get(timeout=5).payload == {"number": 0}


def test_what_killed_processes_left_is_cleared_away_and_messages_stay(tmp_path: Path) -> None:
    publish(tmp_path, range(2))
    folder = tmp_path / "bells"
    long_ago = time.time() - LEFTOVER_SECONDS - 1
    for name in (".1-written-halfway", ".2-read-halfway.msg.taken", ".3-being-written"):
        (folder / name).write_text("{")
    for path in folder.iterdir():
        if path.name != ".3-being-written":
            os.utime(path, (long_ago, long_ago))  # the messages are as old as the leftovers

    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "never-made")

    assert [path.name for path in folder.glob(".*")] == [".3-being-written"]
    assert len(list(folder.glob("*.msg"))) == 2
