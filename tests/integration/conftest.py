"""What the end-to-end tests have in common.

    build    the folder that `make` built into: $LOGFOLD_BUILD, else .build/plain
    terminal starts a command on a terminal of its own:
                 job = terminal("bash", "-i", columns=80)
                 job.send("exit\n"); job.expect("bye"); job.wait()
    logfold  the command, on a store and a run directory of this test alone:
                 logfold("run", "--", "sh", "-c", "echo hi")   → a finished process, text
                 logfold.start("run", "--", "sleep", "9")      → a running one, ended with the test
                 logfold.store, logfold.run_dir, logfold.env   what it works on
                 logfold.entries()                             → the store's entries, from ls --json
    hooked   runs a command bare and under `logfold run`, for tests that compare the two:
                 bare, under = hooked("ls", "-l")
                 assert under == bare                          (stdout, stderr, status), in bytes
             what it reads from stdin is `input`, nothing when not given
    preload  the preload library of this build; without the real one, an empty one
    linked   linked("host", SOURCES / "host.c")            → a program that links liblogfold.so
    wait_for wait_for(lambda: condition, "what is waited for")  → its value; fails after a deadline

$LOGFOLD_COMMAND names another logfold than that of the build: one with sanitizers, say, while the
hook, which goes into programs that have none, stays the build's.
"""

import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import typing

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEADLINE_S = 30

# Tests say what they want; what the person who runs them has set must not decide.
NOT_INHERITED = ("LD_PRELOAD", "COLUMNS", "NO_COLOR", "XDG_RUNTIME_DIR", "JOURNAL_STREAM",
                 "PYTHONUNBUFFERED")
# Nor what a shell does to what it runs in the background: with a handler here, programs get the default.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Outcome(typing.NamedTuple):
    """All that a caller sees of a command."""

    stdout: bytes
    stderr: bytes
    status: int


def wait_until(condition, what, deadline_s=DEADLINE_S):
    """Polls until the condition is true; its value.  For what sends no event that can be waited for."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    pytest.fail(f"waited {deadline_s} s in vain: {what() if callable(what) else what}")


class Logfold:
    """The command, with HOME, store and run directory below one folder."""

    def __init__(self, binary, preload, folder):
        self.binary = binary
        self.folder = folder
        self.run_dir = folder / "run"
        self.store = folder / "state" / "logfold" / "entries.db"
        for place in (folder / "home", folder / "state", self.run_dir):
            place.mkdir(mode=0o700)
        self.env = {k: v for k, v in os.environ.items()
                    if k not in NOT_INHERITED and not k.startswith("LOGFOLD_")}
        self.env |= {
            "HOME": str(folder / "home"),
            "XDG_STATE_HOME": str(folder / "state"),
            "LOGFOLD_RUN_DIR": str(self.run_dir),
            "LOGFOLD_PRELOAD_LIB": str(preload),
            "TERM": "xterm",
            # Under a sanitizer: a hooked logfold has the hook loaded before the runtime.
            "ASAN_OPTIONS": "verify_asan_link_order=0",
        }
        self._started = []

    def environment(self, env=None):
        """The test's environment; a value of None takes a variable out."""
        merged = self.env | (env or {})
        return {k: str(v) for k, v in merged.items() if v is not None}

    def __call__(self, *arguments, env=None, text=True, timeout=DEADLINE_S, **how):
        how.setdefault("capture_output", "stdout" not in how and "stderr" not in how)
        if "input" not in how:
            how.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run([self.binary, *arguments], env=self.environment(env), text=text,
                              timeout=timeout, **how)

    def start(self, *arguments, env=None, **how):
        """Starts it in a session of its own, which is killed when the test is over."""
        how.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen([self.binary, *arguments], env=self.environment(env),
                                   start_new_session=True, **how)
        self._started.append(process)
        return process

    def entries(self, *arguments):
        listed = self("ls", "--json", *arguments)
        assert listed.returncode == 0, listed.stderr
        return [json.loads(line) for line in listed.stdout.splitlines()]

    def end(self):
        for process in self._started:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait(timeout=DEADLINE_S)
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()


@pytest.fixture(scope="session")
def build():
    return ROOT / os.environ.get("LOGFOLD_BUILD", ".build/plain")


@pytest.fixture(scope="session")
def preload(build, tmp_path_factory):
    library = build / "liblogfold-preload.so"
    if library.exists():
        return library
    empty = tmp_path_factory.mktemp("preload") / "liblogfold-preload.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", empty, "-x", "c", "/dev/null"], check=True,
                   timeout=DEADLINE_S)
    return empty


@pytest.fixture
def logfold(build, preload, tmp_path):
    binary = pathlib.Path(os.environ.get("LOGFOLD_COMMAND", build / "logfold"))
    if not binary.exists():
        pytest.fail(f"{binary} is not built: run make")
    command = Logfold(binary, preload, tmp_path)
    yield command
    command.end()


@pytest.fixture
def hooked(logfold):
    def both(*command, env=None, input=b"", **how):
        how = {"capture_output": True, "timeout": DEADLINE_S, "env": logfold.environment(env),
               "input": input, **how}
        bare = subprocess.run(command, **how)
        under = subprocess.run([logfold.binary, "run", "--summary", "none", "--", *command], **how)
        return (Outcome(bare.stdout, bare.stderr, bare.returncode),
                Outcome(under.stdout, under.stderr, under.returncode))

    return both


class Terminal:
    """A pseudo-terminal with a command on it, in a session of its own."""

    def __init__(self, command, env, columns=80, rows=24):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            command, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.output = ""

    def send(self, text):
        os.write(self.master, text.encode())

    def _read(self, deadline):
        """More output; None when nobody has the terminal open any more."""
        ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            pytest.fail(f"waited in vain; the terminal shows: {self.output!r}")
        try:
            return os.read(self.master, 65536).decode(errors="replace") or None
        except OSError:
            return None

    def expect(self, pattern):
        """Waits for the regular expression in what comes from now on; its match."""
        deadline = time.monotonic() + DEADLINE_S
        while not (found := re.search(pattern, self.output)):
            more = self._read(deadline)
            if more is None:
                pytest.fail(f"ended without {pattern!r}; the terminal shows: {self.output!r}")
            self.output += more
        self.output = self.output[found.end():]
        return found

    def wait(self):
        """Reads to the end; (the rest of the output, the exit status)."""
        deadline = time.monotonic() + DEADLINE_S
        while (more := self._read(deadline)) is not None:
            self.output += more
        return self.output, self.process.wait(timeout=DEADLINE_S)

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(timeout=DEADLINE_S)
        os.close(self.master)


@pytest.fixture
def terminal(logfold):
    started = []

    def start(*command, env=None, **size):
        started.append(Terminal(command, logfold.environment(env), **size))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture
def wait_for():
    return wait_until


# At the end, as they build upon what stands above.
from fleet import agent  # noqa: E402, F401
from linking import linked  # noqa: E402, F401
from servers_mongo import mongo, mongo_server  # noqa: E402, F401
from servers_redis import redis, redis_cluster, redis_server  # noqa: E402, F401
