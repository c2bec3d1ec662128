"""Drives a sink's module from a test, by tests/tools/sink_drive.c.

    agent = drive("mongo", uri=…, incarnation=A)     a process with one sink; ended with the test
    agent.do("hello", timeout=2000)                  → its answer: {"result": "done", …}
    agent.flush([record(1, shares={A: [5]})])        records, then a flush
    agent.entries(shares=1)                          → [(entry, shares), …] of a read
    A, B                                             two incarnations
    record(n, …)                                     words of sink_drive's `record` line; hash_of(n) its hash
    contract("mongo", uri, ca=…)                     every sink's promises (tests/contract), on one tier
    tier_contract("mongo", uri)                      those of a tier of the cache (tests/contract/tiers)
    cache_contract("memory redis", redis=url)        those of the cache with these tiers (tests/contract/cache)

$LOGFOLD_SINK_BUILD names another folder than that of the build: one with sanitizers, say.
"""

import json
import os
import pathlib
import select
import subprocess
import time

import pytest
from conftest import DEADLINE_S, ROOT

A = "00000000-0000-4000-8000-00000000000a"
B = "00000000-0000-4000-8000-00000000000b"


def hash_of(number):
    return f"{number:032x}"


def record(number, shares=None, **words):
    """shares: {incarnation: [passed, muted, sampled, limited, folded]}, missing ones 0."""
    words = {"hash": hash_of(number), "template": f"message {number}", **words}
    counts = [f"share={who}:{','.join(str(c) for c in (numbers + [0] * 5)[:5])}"
              for who, numbers in (shares or {}).items()]
    return "\t".join(["record", *(f"{name}={value}" for name, value in words.items()), *counts])


class Sink:
    def __init__(self, tool, module, options, log):
        self.module = module
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [tool, module, *(f"{name}={value}" for name, value in options.items())],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0)
        self._buffer = b""
        self.opened = self._line()

    def _line(self):
        end = time.monotonic() + 2 * DEADLINE_S
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            more = self.process.stdout.read(65536) if ready else b""
            if not more:
                pytest.fail(f"no answer from the sink (status {self.process.poll()}): "
                            f"{self.log.read_text()[-2000:]}")
            self._buffer += more
        line, self._buffer = self._buffer.split(b"\n", 1)
        return json.loads(line)

    def send(self, *lines):
        self.process.stdin.write("".join(line + "\n" for line in lines).encode())

    def ask(self, verb, words=(), **more):
        """All lines of its answer; the last is the result."""
        self.send("\t".join([verb, *words, *(f"{name}={value}" for name, value in more.items())]))
        return self.answer()

    def answer(self):
        lines = [self._line()]
        while "result" not in lines[-1]:
            lines.append(self._line())
        return lines

    def do(self, verb, words=(), **more):
        return self.ask(verb, words, **more)[-1]

    def must(self, verb, words=(), **more):
        """Its answer, which has to be a good one."""
        answer = self.do(verb, words, **more)
        assert answer["result"] == "done", answer
        return answer

    def flush(self, records, **more):
        self.send(*records)
        return self.must("flush", **more)

    def settle(self, namespace="shop"):
        """Tends until nothing is left to do."""
        end = time.monotonic() + 2 * DEADLINE_S
        while self.must("tend", namespace=namespace)["busy"]:
            assert time.monotonic() < end, "still busy"
            time.sleep(0.05)

    def entries(self, words=(), **more):
        lines = self.ask("read", words, **more)
        assert lines[-1]["result"] == "done", lines[-1]
        return [(line["entry"], line["shares"]) for line in lines[:-1]]

    def close(self):
        """Ends it as an agent ends, with lf_sink's close."""
        self.process.stdin.close()
        return self.process.wait(timeout=DEADLINE_S)

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=DEADLINE_S)


@pytest.fixture(scope="session")
def sink_build(build):
    return pathlib.Path(os.environ.get("LOGFOLD_SINK_BUILD", build))


def must_be_built(*files):
    for needed in files:
        if not needed.exists():
            pytest.fail(f"{needed} is not built: run make build tools contract")


@pytest.fixture
def drive(sink_build, tmp_path):
    started = []

    def make(name, **options):
        tool, module = sink_build / "tools" / "sink_drive", sink_build / f"logfold-{name}.so"
        must_be_built(tool, module)
        started.append(Sink(tool, module, options, tmp_path / f"sink-{len(started)}.log"))
        return started[-1]

    yield make
    for sink in started:
        if sink.process.poll() is None:
            sink.kill()
        for pipe in (sink.process.stdin, sink.process.stdout):
            pipe.close()


def run_contract(program, sources, settings):
    must_be_built(program)
    env = os.environ | {f"LOGFOLD_TEST_{key.upper()}": str(value) for key, value in settings.items()}
    done = subprocess.run(["sh", ROOT / "tests/unit/run.sh", program, ROOT / sources],
                          env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def contract(sink_build):
    """`settings` as in tests/contract/tier.h, without LOGFOLD_TEST_."""
    def run(name, uri, **settings):
        must_be_built(sink_build / f"logfold-{name}.so")
        run_contract(sink_build / "contract", "tests/contract", {"sink": name, "uri": uri, **settings})

    return run


@pytest.fixture
def tier_contract(sink_build):
    """The same for a tier of the cache: tests/contract/tiers."""
    def run(name, uri, **settings):
        run_contract(sink_build / "tier_contract", "tests/contract/tiers", {"tier": name, "uri": uri, **settings})

    return run


@pytest.fixture
def cache_contract(sink_build):
    """The same for the cache as a whole; `settings` as in tests/contract/cache/stand.h."""
    def run(tiers, **settings):
        must_be_built(*(sink_build / f"logfold-{name}.so" for name in ("redis", "mongo") if name in tiers))
        run_contract(sink_build / "cache_contract", "tests/contract/cache", {"cache": tiers, **settings})

    return run
