"""What the servers of the tests have in common: a free port, and a process that is ended by its pid."""

import functools
import itertools
import pathlib
import signal
import socket

import pytest
from conftest import DEADLINE_S, wait_until

# Below those that Linux gives to clients, one of which could sit where a server is to come back.
PORTS, SHARE = range(16384, 32768), 256


@functools.cache
def own_ports():
    """A share of the ports, round and round, and the name that keeps other processes of the tests from it."""
    for first in PORTS[::SHARE]:
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0logfold-tests-{first}")  # gone with this process
            return itertools.cycle(range(first, first + SHARE)), claim
        except OSError:
            claim.close()
    pytest.fail("other processes have all the ports that tests use")


def free_port():
    """One where nobody listens, and that nobody else is told of soon."""
    ports, _ = own_ports()
    for port in itertools.islice(ports, SHARE):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    pytest.fail(f"somebody listens on each of {SHARE} ports")


class ServerProcess:
    """`process` is the running server; None before start()."""

    process = None

    def _may_touch(self):
        """Overridden where the server may be somebody else's."""

    def _end(self, how):
        self._may_touch()
        self.process.send_signal(how)
        self.process.send_signal(signal.SIGCONT)
        self.process.wait(timeout=DEADLINE_S)

    def stop(self):
        self._end(signal.SIGTERM)

    def kill(self):
        self._end(signal.SIGKILL)

    def freeze(self):
        self._may_touch()
        self.process.send_signal(signal.SIGSTOP)
        state = pathlib.Path(f"/proc/{self.process.pid}/stat")
        wait_until(lambda: state.read_text().rsplit(")")[-1].split()[0] == "T",
                   "the server stands still")

    def resume(self):
        self._may_touch()
        self.process.send_signal(signal.SIGCONT)
