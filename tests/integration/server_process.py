"""What the servers of the tests have in common: a free port, and a process that is ended by its pid."""

import pathlib
import signal
import socket

from conftest import DEADLINE_S, wait_until


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
