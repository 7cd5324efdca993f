"""Start Mailwarden on one machine and stop all of it on Ctrl-C: `serve.py demo` or `serve.py run`.

Starts the web server, a Celery worker and the scheduler, in the demo also the simulator that stands in for Cloudflare.
Standard library only, so that this process stays small while it watches the others.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
DEMO_ACCOUNT = "d0d0cafed0d0cafed0d0cafed0d0cafe"
DEMO_MARKER = ".mailwarden-demo"  # lies in the data folders that demos made, and in no other
DEMO_TOKEN = "demo-token-of-the-simulator"  # noqa: S105  opens nothing but the simulator beside it
WORKER_THREADS = "8"  # unless the environment says another number; a container has 16
CALL_SECONDS = 45.0  # unless the environment says another number, as in dashboard/settings.py
BEYOND_CALLS = 15.0  # seconds: a step of a job that has just begun may send one more chunk within ten
TELL_AFTER = 2.0  # seconds of waiting for what has been asked to stop
MOST_RESTARTS, RESTART_WINDOW = 5, 60.0  # of one part, in seconds


class StartFailed(Exception):
    """One sentence that says what to do next."""


class Interrupted(Exception):
    """Ctrl-C came while something was being started."""


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  this is what the person at the terminal reads


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wanted_port() -> int:
    text = os.environ.get("PORT") or "8000"
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise StartFailed(f"PORT must be a number from 1 to 65535, not {text!r}.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(text)))
        except OSError as error:
            raise StartFailed(f"Port {text} is taken. Choose another one: PORT=8001 make {sys.argv[1]}") from error
    return int(text)


class Stack:
    """The processes of one installation: started in order, stopped in reverse."""

    def __init__(self, env: dict[str, str], logs: Path) -> None:
        self.env = env
        self.env.setdefault("MALLOC_ARENA_MAX", "2")  # else each thread grows a heap of its own and never gives it back
        self.logs = logs
        self.running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self.is_asked_to_stop = False
        self._deaths: list[tuple[str, float]] = []

    def ask_to_stop(self, *_: object) -> None:
        """Only noted here (this is a signal handler); whatever waits looks at it."""
        self.is_asked_to_stop = True

    def start(self, name: str, *command: str) -> None:
        self.running.append((name, self._spawn(name, command)))

    def _spawn(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.logs / f"{name}.log").open("ab") as log:
            # A session of its own: Ctrl-C reaches this process only, which then stops the others in order.
            return subprocess.Popen(  # noqa: S603  the commands are written in this file
                command,
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def manage(self, *arguments: str) -> str:
        done = subprocess.run(  # noqa: S603
            [PYTHON, "manage.py", *arguments], cwd=ROOT, env=self.env, capture_output=True, text=True, check=False
        )
        if self.is_asked_to_stop:
            raise Interrupted
        if done.returncode:
            reason = ((done.stderr or done.stdout).strip().splitlines() or ["no reason given"])[-1]
            if reason.startswith("Mailwarden cannot start. "):
                raise StartFailed(reason)
            raise StartFailed(f"`manage.py {arguments[0]}` did not work: {reason}")
        return done.stdout

    def wait_for(self, name: str, url: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.is_asked_to_stop:
            self.check()
            with contextlib.suppress(urllib.error.URLError, OSError):
                try:
                    with urllib.request.urlopen(url, timeout=2):  # noqa: S310  a loopback address made here
                        return
                except urllib.error.HTTPError:
                    return  # it answers
            time.sleep(0.1)
        if self.is_asked_to_stop:
            raise Interrupted
        raise StartFailed(f"The {name} did not answer within {seconds:.0f} s; see {self.logs / name}.log")

    def check(self) -> None:
        for name, process in self.running:
            if process.poll() is not None:
                raise StartFailed(f"The {name} stopped with status {process.returncode}; see {self.logs / name}.log")

    def keep_running(self) -> None:
        """Start again what has died: its work goes on from the database. What dies again and again ends everything."""
        for number, (name, process) in enumerate(self.running):
            if process.poll() is None:
                continue
            now = time.monotonic()
            self._deaths = [(who, at) for who, at in [*self._deaths, (name, now)] if now - at < RESTART_WINDOW]
            if sum(who == name for who, _ in self._deaths) > MOST_RESTARTS:
                self.check()
            say(f"the {name} stopped with status {process.returncode}; starting it again")
            self.running[number] = (name, self._spawn(name, process.args))

    def stop(self) -> None:
        """End everything; what is calling may finish, unless Ctrl-C comes again or it takes longer than a call may."""
        self.is_asked_to_stop = False
        deadline = time.monotonic() + self._longest_call() + BEYOND_CALLS
        # The simulator goes last: it answers the calls the others wait for.
        for is_simulator in (False, True):
            ending = [process for name, process in reversed(self.running) if (name == "simulator") == is_simulator]
            for process in ending:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
            self._wait_until_ended(ending, deadline)
        for _, process in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # also what a child may have left behind
        for _, process in self.running:
            process.wait()
        self.running.clear()

    def _wait_until_ended(self, processes: Sequence[subprocess.Popen[bytes]], deadline: float) -> None:
        tell_at = time.monotonic() + TELL_AFTER
        while any(process.poll() is None for process in processes):
            now = time.monotonic()
            if self.is_asked_to_stop or now > deadline:
                return
            if now > tell_at:
                say("waiting for calls under way (Ctrl-C again ends them)")
                tell_at = deadline
            time.sleep(0.05)

    def _longest_call(self) -> float:
        wanted = self.env.get("MAILWARDEN_CALL_SECONDS", "")
        return float(wanted) if wanted.isdigit() else CALL_SECONDS


def secret_key(data: Path) -> str:
    """The installation's own key, made once and readable by its owner only."""
    path = data / "secret_key"
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(64))
    return path.read_text().strip()


def simulator_options() -> list[str]:
    """Options of the demo's simulator, from MAIL (a folder), MESSAGES, ENTRIES, PROFILE, LATENCY_MS and SEED."""
    options = []
    for variable, option in (
        ("MAIL", "--mail"),
        ("MESSAGES", "--messages"),
        ("ENTRIES", "--entries"),
        ("PROFILE", "--profile"),
        ("LATENCY_MS", "--latency-ms"),
        ("SEED", "--seed"),
    ):
        if os.environ.get(variable):
            options += [option, os.environ[variable]]
    return options


def prepare(stack: Stack) -> None:
    """Bring the database and the static files up to date."""
    stack.manage("migrate_safely", "--verbosity", "0")
    stack.manage("collectstatic", "--no-input", "--verbosity", "0")


def start_web(stack: Stack, port: int) -> None:
    stack.start(
        "web", PYTHON, "-m", "gunicorn", "--config", "dashboard/gunicorn.py",
        "--bind", f"127.0.0.1:{port}", "dashboard.wsgi",
    )  # fmt: skip


def start_processes(stack: Stack, port: int) -> None:
    """Web server, worker and scheduler."""
    start_web(stack, port)
    stack.start(
        "worker", PYTHON, "-m", "celery", "--app", "dashboard", "worker", "--pool", "threads",
        "--concurrency", stack.env.get("MAILWARDEN_WORKER_THREADS", WORKER_THREADS),
        "--queues", "people,polls,bulk,sweep", "--without-gossip", "--without-mingle", "--without-heartbeat",
        "--loglevel", "WARNING",
    )  # fmt: skip
    stack.start(
        "scheduler", PYTHON, "-m", "celery", "--app", "dashboard", "beat", "--loglevel", "WARNING", "--pidfile="
    )


def start(mode: str, stack: Stack, port: int) -> None:
    env = stack.env
    if mode == "demo":
        simulator_port = free_port()
        say("starting the simulator that stands in for Cloudflare")
        stack.start(
            "simulator", PYTHON, "manage.py", "simulator", "--port", str(simulator_port),
            "--account-id", DEMO_ACCOUNT, "--token", DEMO_TOKEN, *simulator_options(),
        )  # fmt: skip
        env["CLOUDFLARE_BASE_URL"] = f"http://127.0.0.1:{simulator_port}/client/v4"
    say("preparing the database")
    prepare(stack)
    address = f"http://127.0.0.1:{port}"
    welcome = stack.manage("demo_members" if mode == "demo" else "first_admin", "--address", address)
    say("starting web server, worker and scheduler")
    start_processes(stack, port)
    if mode == "demo":
        stack.wait_for("simulator", env["CLOUDFLARE_BASE_URL"])
        stack.manage("demo_example")
    stack.wait_for("web", f"{address}/healthz")
    say(f"\nMailwarden is at {address}\n\n{welcome}\nCtrl-C stops everything. Logs: {stack.logs}")


def environment(mode: str, data: Path) -> dict[str, str]:
    env = {
        **os.environ,
        "MAILWARDEN_DATA_DIR": str(data),
        "PYTHONUNBUFFERED": "1",
        "SECRET_KEY": os.environ.get("SECRET_KEY") or secret_key(data),
    }
    env.setdefault("MAILWARDEN_HTTPS", "false")  # served on this machine's own address only
    env.setdefault("MAILWARDEN_WORKER_THREADS", WORKER_THREADS)
    env.setdefault("MAILWARDEN_WEB_PROCESSES", "1")  # SQLite lets one write at a time; a second one would cost memory
    if mode == "demo":
        for name in [name for name in env if name.startswith("CLOUDFLARE_")] + ["DATABASE_URL", "REDIS_URL"]:
            env.pop(name, None)  # the demo never touches a real account or database
        env |= {"MAILWARDEN_DEMO": "true", "CLOUDFLARE_ACCOUNT_ID": DEMO_ACCOUNT, "CLOUDFLARE_API_TOKEN": DEMO_TOKEN}
    return env


@contextlib.contextmanager
def demo_folder(folder: Path) -> Iterator[Path]:
    """The data folder of a demo, emptied: each demo begins anew, because its mail is made relative to now.

    Only a folder with the marker of an earlier demo is emptied, and never the one of a demo that is running: that one
    holds a lock on its marker. Raises StartFailed.
    """
    marker = folder / DEMO_MARKER
    if folder.exists() and not marker.exists() and any(folder.iterdir()):
        raise StartFailed(f"{folder} holds what no demo has written. Move it away, or choose another PORT.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with marker.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StartFailed(f"Another demo is using {folder}. Choose another PORT.") from error
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path != marker:
                path.unlink()
        yield folder


def data_folder(mode: str, port: int) -> contextlib.AbstractContextManager[Path]:
    """Where the installation keeps its data. A demo has a place of its own for each port, whatever the environment."""
    if mode == "demo":
        return demo_folder(ROOT / "var" / f"demo-{port}")
    return contextlib.nullcontext(Path(os.environ.get("MAILWARDEN_DATA_DIR") or ROOT / "var" / mode).resolve())


def serve(mode: str, port: int, data: Path) -> None:
    """Start everything, watch it, and stop it when asked to or when one part has stopped by itself."""
    logs = data / "logs"
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    stack = Stack(environment(mode, data), logs)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stack.ask_to_stop)
    try:
        start(mode, stack, port)
        while not stack.is_asked_to_stop:
            time.sleep(0.5)
            stack.keep_running()
    except Interrupted:
        pass
    finally:
        if stack.running:
            say("\nstopping")
        stack.stop()


def main() -> int:
    mode = sys.argv[1]
    try:
        port = wanted_port()
        with data_folder(mode, port) as data:
            serve(mode, port, data)
    except StartFailed as error:
        say(f"\n{error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
