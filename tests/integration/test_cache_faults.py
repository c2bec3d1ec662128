"""The cache while its Redis is killed, frozen, slow, cut off, restarted with what it had, with what it had a while before, and
empty, by a schedule that a seed makes; in every second round the program is killed in the middle of it, too.

tests/tools/cache_load.c works from 16 threads and says what is wrong: a call that lasts past its deadline, a read that gives
something older than what was acknowledged.  At the end another process, with nothing but Redis, must find every critical key,
and nothing that is older in the others, unless Redis itself was set back, or the program was killed: while its tiers are late,
what is not critical is in its memory alone.

A round that fails shows its seed; LOGFOLD_CACHE_SEED=… plays that one alone.  LOGFOLD_SUITES=1 plays fifty.
"""

import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import time

import pytest
from conftest import DEADLINE_S
from faulty_link import Link

SUITES = os.environ.get("LOGFOLD_SUITES") == "1"
SEED = os.environ.get("LOGFOLD_CACHE_SEED")
SEEDS = [int(SEED)] if SEED else range(50 if SUITES else 5)
WORKING_S = 3 if SUITES else 2

THREADS, SLOTS, MAYBES = 16, 22, 60
STRING, CRITICAL_PREFIX = 0, "faults:production:load:o:cs"


class Load:
    """The program; what it writes is kept for whom the round fails."""

    def __init__(self, tool, folder, url):
        self.tool, self.folder, self.url = tool, folder, url
        self.ledger = folder / "ledger"
        self.env = os.environ | {"LOGFOLD_MODULE_DIR": str(tool.parent.parent)}
        self.process = None

    def command(self, verb, database, *more):
        return [self.tool, verb, self.ledger, self.url, self.folder / database, *map(str, more)]

    def start(self, seed):
        self.errors = (self.folder / "load.log").open("wb")
        self.process = subprocess.Popen(self.command("run", "cache.db", seed), env=self.env, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.errors)
        assert self.process.stdout.readline() == b"ready\n", (self.folder / "load.log").read_text()

    def finish(self):
        said, _ = self.process.communicate(timeout=2 * DEADLINE_S)
        return self.judged(self.process.returncode, said.decode(), self.folder / "load.log")

    def run(self, verb, database, *more):
        with (self.folder / f"{verb}.log").open("wb") as errors:
            done = subprocess.run(self.command(verb, database, *more), env=self.env, stdout=subprocess.PIPE, stderr=errors,
                                  timeout=2 * DEADLINE_S, check=False)
        return self.judged(done.returncode, done.stdout.decode(), self.folder / f"{verb}.log")

    @staticmethod
    def judged(status, said, log):
        assert status == 0 and "WRONG" not in said, f"status {status}\n{said[-3000:]}\n{log.read_text()[-3000:]}"
        return dict(word.split("=") for word in said.splitlines()[-1].split()[1:])

    def kill(self):
        self.process.kill()
        self.process.communicate(timeout=DEADLINE_S)
        assert self.process.returncode == -signal.SIGKILL

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def critical_strings(self):
        """{key: the numbers of writes that it may have; 0: nothing}"""
        row = struct.Struct(f"<4Q{MAYBES}Q")
        found = {}
        for at, (kind, critical, acked, maybes, *maybe) in enumerate(row.iter_unpack(self.ledger.read_bytes())):
            if kind == STRING and critical:
                found[f"{CRITICAL_PREFIX}{at // SLOTS}-{at % SLOTS}"] = {acked, *maybe[:maybes]}
        assert len(found) == THREADS * (SLOTS // 2 - 3)
        return found


class Faults:
    """What happens to Redis, and how it is undone."""

    def __init__(self, redis, link):
        self.redis, self.link = redis, link
        self.kinds = ["kill", "kill_and_empty", "set_back", "freeze", "empty"]
        if link:
            self.kinds += ["cut", "delay_a_little", "delay_long", "lose_answers", "tear"]

    def one(self, chance):
        kind = chance.choice(self.kinds)
        getattr(self, kind)(chance.uniform(.05, .8))
        return kind

    def kill(self, pause_s):
        self.redis.kill()
        time.sleep(pause_s)
        self.redis.start()

    def kill_and_empty(self, pause_s):
        self.redis.kill()
        shutil.rmtree(self.redis.folder / "appendonlydir")
        time.sleep(pause_s / 4)
        self.redis.start()

    def set_back(self, pause_s):
        """As of a power failure: what it acknowledged last had not reached its disk."""
        kept, older = self.redis.folder / "appendonlydir", self.redis.folder / "older"
        shutil.copytree(kept, older)
        time.sleep(pause_s)
        self.redis.kill()
        shutil.rmtree(kept)
        older.rename(kept)
        self.redis.start()

    def freeze(self, pause_s):
        self.redis.freeze()
        time.sleep(2 * pause_s)  # longer than a call may last
        self.redis.resume()

    def empty(self, _):
        self.redis.client().flushall()

    def cut(self, _):
        self.link.cut()

    def tear(self, _):
        self.link.tear()

    def delay_a_little(self, pause_s):
        self.link.delay(.03)
        time.sleep(pause_s)
        self.link.delay(0)

    def delay_long(self, pause_s):
        self.link.delay(.5)
        time.sleep(pause_s)
        self.link.cut()

    def lose_answers(self, pause_s):
        self.link.lose_answers()
        time.sleep(pause_s)
        self.link.cut()


@pytest.fixture
def load_tool(build):
    tool = pathlib.Path(os.environ.get("LOGFOLD_SINK_BUILD") or build) / "tools" / "cache_load"
    assert tool.exists(), f"there is no {tool}: run make tools"
    return tool


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_befalls_redis_no_call_is_late_no_critical_key_lost_and_no_value_old(seed, load_tool, redis_server,
                                                                                     tmp_path):
    chance = random.Random(seed)
    # Left to the system, every write is in the file before it is acknowledged; "everysec" puts it off while the disk is slow.
    redis = redis_server(save=True, options=["--appendonly", "yes", "--appendfsync", "no"])
    link = Link(redis.port) if chance.random() < .5 else None
    load = Load(load_tool, tmp_path, f"redis://127.0.0.1:{link.port if link else redis.port}")
    faults, befell = Faults(redis, link), []
    end = time.monotonic() + WORKING_S
    try:
        load.start(seed)
        while time.monotonic() < end:
            time.sleep(chance.uniform(.02, .4))
            befell.append(faults.one(chance))
        if link:
            link.cut()  # and tears nothing any more
        if seed % 2:
            load.kill()
            healed = load.run("heal", "cache.db", "critical")
        else:
            healed = load.finish()
            assert int(healed["calls"]) > 10 * THREADS and int(healed["failures"]) < int(healed["calls"]) / 3, healed
        print(f"seed {seed}: {' '.join(befell)}: {healed}")
        load.run("check", "elsewhere.db", *["critical"] * (seed % 2 or "set_back" in befell))
        there = redis.client(encoding_errors="replace")
        lost = [key for key, numbers in load.critical_strings().items() if 0 not in numbers and not there.exists(key)]
        assert not lost, f"Redis has lost {lost}"
    finally:
        print(f"seed {seed}: {' '.join(befell)}")
        load.close()
        if link:
            link.close()
