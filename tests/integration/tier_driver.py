"""Drives one tier of the cache from a test, by tests/tools/tier_drive.c.

    tier = tiers("redis", url=…, writer=1)    a process with one tier; ended with the test
    tier.store(key, 5, b"value", "newer")     each command is a method; what it prints, in words
    tier.ask("load", key, deadline_ms=200)    → Answer: .result "done" "away" "rejected" "full", .ms, .words, .why
    tier.load(key)                            → {key: Record(version, type, expires, value)}, None: it is not there
    tier.changes(500)                         → [(kind, name, version), …]
    tier.start("changes", deadline_ms=9000); …; tier.answer()

$LOGFOLD_SINK_BUILD names another folder than that of the build: one with sanitizers, say.
"""

import os
import re
import select
import subprocess
import time
import typing

import pytest
from conftest import DEADLINE_S
from sink_driver import must_be_built, sink_build  # noqa: F401


class Record(typing.NamedTuple):
    version: tuple
    type: int
    expires: int
    value: bytes


class Answer(typing.NamedTuple):
    result: str
    ms: int
    words: list
    why: str


def pair(version):
    return tuple(int(part) for part in version.split("."))


def spelled(version):
    return ".".join(map(str, version)) if isinstance(version, tuple) else str(version)


class Tier:
    def __init__(self, tool, folder, which, options, log):
        self.log = log
        self._buffer = b""
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [tool, which, *(f"{name}={value}" for name, value in options.items() if value is not None)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0,
                env=os.environ | {"LOGFOLD_MODULE_DIR": str(folder)})
        self.opened = self._line() == "open"

    def _line(self):
        """None: the process has ended."""
        end = time.monotonic() + 3 * DEADLINE_S
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            if not ready:
                pytest.fail(f"no answer from the tier: {self.log.read_text()[-2000:]}")
            more = self.process.stdout.read(1 << 20)
            if not more:
                return None
            self._buffer += more
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode()

    def start(self, *words, deadline_ms=5000):
        self.process.stdin.write((" ".join([f"@{deadline_ms}", *map(str, words)]) + "\n").encode())

    def answer(self):
        line = self._line()
        if line is None:
            pytest.fail(f"the tier's process ended: {self.log.read_text()[-4000:]}")
        said, _, why = line.partition(" | ")
        result, ms, *words = said.split(" ")
        return Answer(result, int(ms), words, why)

    def ask(self, *words, deadline_ms=5000):
        self.start(*words, deadline_ms=deadline_ms)
        return self.answer()

    def must(self, *words, **how):
        answer = self.ask(*words, **how)
        assert answer.result == "done", answer
        return answer.words

    # --- each command ------------------------------------------------------------------------

    def ping(self):
        return self.must("ping")[0]

    def load(self, *keys):
        found = " ".join(self.must("load", *keys)).split(";")[:-1]
        records = {}
        for key, said in zip(keys, found):
            words = said.split()
            records[key] = None if words == ["-"] else Record(
                pair(words[1]), int(words[2]), int(words[3]),
                b"" if words[4] == "-" else bytes.fromhex(words[4]))
        return records

    def value(self, key):
        record = self.load(key)[key]
        return record and record.value

    def store(self, key, version, value=b"", *conditions):
        """Whether it was stored."""
        return self.must("store", key, spelled(version), value.hex() or "-", *conditions) == ["stored"]

    def fill(self, prefix, count, version, size=0):
        return int(self.must("fill", prefix, count, spelled(version), size)[0])

    def scan(self, prefix, most=1000):
        """How many calls it took, how many keys the largest answer had, and all of them."""
        calls, largest, *keys = self.must("scan", prefix, most)
        return int(calls), int(largest), keys

    def drop(self, prefix, clock):
        self.must("drop", prefix, clock)

    def stamps(self, *names):
        return [int(word) for word in self.must("stamps", *names)]

    def raise_to(self, number, *names):
        return [int(word) for word in self.must("raise", number, *names)]

    def lock(self, key, ttl_ms=60000):
        return int(self.must("lock", key, ttl_ms)[0])

    def unlock(self, key, token):
        self.must("unlock", key, token)

    def watch(self):
        self.must("watch")

    @staticmethod
    def heard(words):
        """Of an answer to `changes`."""
        found = []
        for said in " ".join(words).split(";")[:-1]:
            kind, name, version = re.fullmatch(r" ?(\w+) (\S*) ([\d.]+)", said).groups()
            found.append((kind, name, pair(version)))
        return found

    def changes(self, ms=200):
        return self.heard(self.must("changes", deadline_ms=ms))

    def hear(self, count):
        """Waits until so many were heard."""
        found, end = [], time.monotonic() + DEADLINE_S
        while len(found) < count:
            assert time.monotonic() < end, f"heard nothing but {found}"
            found += self.changes(50)
        return found

    def info(self):
        return {name: int(number) for name, number in (word.split("=") for word in self.must("info"))}

    def close(self):
        """Ends it as the stack does; what a sanitizer found fails the test."""
        self.process.stdin.close()
        status = self.process.wait(timeout=DEADLINE_S)
        assert status == (0 if self.opened else 1), self.log.read_text()


@pytest.fixture
def tiers(sink_build, tmp_path):  # noqa: F811
    made = []

    def make(which, **options):
        tool, module = sink_build / "tools" / "tier_drive", sink_build / f"logfold-{which}.so"
        must_be_built(tool, module)
        made.append(Tier(tool, sink_build, which, options, tmp_path / f"tier-{len(made)}.log"))
        return made[-1]

    yield make
    for tier in made:
        if tier.process.poll() is None:
            tier.close()
        for pipe in (tier.process.stdin, tier.process.stdout):
            pipe.close()
