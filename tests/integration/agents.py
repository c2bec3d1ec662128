"""`logfold agent`, started for a test: ready when it says so to the service manager's socket."""

import json
import os
import select
import signal
import socket
import subprocess
import time

import pytest

from conftest import DEADLINE_S


def as_user(uid):
    """For preexec_fn: becomes that user, and nothing of root is left."""
    def become():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    return become


class Agent:
    """A running daemon.

    `folder` is where its files lie, `config` the lines of its agent.toml by section and key; `store` and
    `run_dir` are where it keeps what it counts.
    """

    def __init__(self, binary, folder, env, uid=None, **config):
        self.binary, self.folder, self.uid = binary, folder, uid
        self.store, self.run_dir = folder / "daemon.db", folder / "base"
        self.file, self.log = folder / "agent.toml", folder / "agent.log"
        self.env = env | {"NOTIFY_SOCKET": str(folder / "notify")}
        self.config = {"store": str(self.store), "run_dir": str(self.run_dir),
                       "drain_interval_ms": 100, **config}
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(self.env["NOTIFY_SOCKET"])
        os.chmod(self.env["NOTIFY_SOCKET"], 0o666)
        self.process = None
        self.become = as_user(uid) if uid else None  # what happens between fork and exec

    def configure(self, **config):
        self.config |= config
        self.file.write_text("[agent]\n" + "".join(
            f"{key} = {json.dumps(value)}\n" for key, value in self.config.items()))
        self.file.chmod(0o644)

    def told(self, state):
        """Waits until it tells the service manager this; all that the datagram says."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            living = self.process.poll() is None  # asked first: what it said before it ended is read
            if select.select([self._notify], [], [], 0.1 if living else 0)[0]:
                said = self._notify.recv(4096).decode()
                if state in said.splitlines():
                    return dict(line.split("=", 1) for line in said.splitlines())
            elif not living:
                break
        pytest.fail(f"the agent never said {state}; its log: {self.log.read_text()}")

    def start(self):
        self.configure()
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [self.binary, "agent", "-c", self.file], env=self.env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, preexec_fn=self.become)
        self.told("READY=1")
        return self

    def ask(self, request, uid=None):
        """What a client of the control socket gets, as that user: (first line, data)."""
        script = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(30);"
                  "s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode() + b'\\n');"
                  "sys.stdout.write(b''.join(iter(lambda: s.recv(65536), b'')).decode())")
        done = subprocess.run(["python3", "-c", script, self.run_dir / "control", request], text=True,
                              capture_output=True, timeout=DEADLINE_S,
                              preexec_fn=as_user(uid) if uid else None)
        assert done.returncode == 0, done.stderr
        first, _, data = done.stdout.partition("\n")
        return first, data

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=DEADLINE_S)

    def stop(self):
        """Ends it as a service manager does; what it said since it began."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            assert self.process.wait(timeout=DEADLINE_S) == 0, self.log.read_text()
        return self.log.read_text()

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=DEADLINE_S)
        self._notify.close()
