"""The parts of the bench that need an agent and real servers: those of the end-to-end tests.

    flush   the modules beside bare clients
    flags   from the change of a flag to the first call that obeys, for each way to change one
    agent   what the agent costs: idle, and while every entry changes each second
"""
import contextlib
import os
import pathlib
import random
import re
import select
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import pytest  # noqa: E402
from conftest import Logfold, wait_until  # noqa: E402
from fleet import Agent, section_of  # noqa: E402
from servers_mongo import Mongo  # noqa: E402
from servers_redis import Redis  # noqa: E402

from rows import at_least, at_most, without_budget  # noqa: E402

Failed = pytest.fail.Exception   # what the helpers of the tests say when something does not come

EVENT_S = 30
NAMESPACE = "console-manager-entries"
MESSAGES = 50                    # of the process that watches flags
POLL_S = 5                       # agent.toml's default
READING_MS = 500                 # what a poll may take
SETTLE_S, WINDOW_S = 1.5, POLL_S # before and while the agent is watched: with one poll in it
CPUCLOCK_SCHED = 2


class Fleet:
    """Servers, agents and hooked hosts; all of them end with the block."""

    def __init__(self, bench):
        self.bench = bench
        self._ends = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ends.close()

    def folder(self, name):
        return pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.bench.folder))

    def server(self, kind):
        server = kind(self.folder(kind.__name__.lower()))
        self._ends.callback(server.close)
        return server.start()

    def agent(self, *servers):
        """With the intervals that agent.toml has where nobody writes any."""
        folder = self.folder("agent")
        logfold = Logfold(self.bench.logfold, self.bench.hook, folder)
        self._ends.callback(logfold.end)
        place = folder / "daemon"
        place.mkdir(mode=0o700)
        sections = {type(server).__name__.lower():
                    section_of("", server) | {"poll_interval_ms": POLL_S * 1000}
                    for server in servers}
        return Agent(logfold, place, self.bench.hook,
                     {"agent": {"drain_interval_ms": 1000, "flush_interval_ms": 1000},
                      **sections}).start()

    def host(self, agent, *arguments, **how):
        host = Host(self.bench, agent, arguments, **how)
        self._ends.callback(host.end)
        return host


class Host:
    """host.c under the hook; what it tells comes through a pipe."""

    def __init__(self, bench, agent, arguments, stdin=subprocess.PIPE, pass_fds=(), **how):
        self.told, tell = os.pipe()
        env = agent.environment() | {"BENCH_RESULT": f"/dev/fd/{tell}"}
        self._process = subprocess.Popen(
            [str(word) for word in (bench.host, *arguments)], env=env, stdin=stdin,
            pass_fds=(tell, *pass_fds), **{"stdout": subprocess.DEVNULL} | how)
        os.close(tell)

    def read(self, deadline_s=EVENT_S):
        """What it tells next."""
        if not select.select([self.told], [], [], deadline_s)[0]:
            pytest.fail(f"a host told nothing for {deadline_s} s")
        return os.read(self.told, 65536)

    def again(self):
        self._process.stdin.write(b".")
        self._process.stdin.flush()

    def end(self):
        if self._process.stdin:
            self._process.stdin.close()
        os.close(self.told)
        try:
            self._process.wait(timeout=EVENT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


# --- flush -------------------------------------------------------------------------------------


def flush(bench):
    """The modules and bare clients, in turns, with the same documents."""
    rows = []
    with Fleet(bench) as fleet:
        redis, mongo = fleet.server(Redis), fleet.server(Mongo)
        for name, program, arguments in (
                ("Redis", "bench_flush_redis", [redis.port]),
                ("MongoDB", "bench_flush_mongo", [mongo.uri, mongo.database])):
            said = bench.own([bench.build / "bench" / program, *arguments])
            ours, bare, share = map(float, re.search(
                r"flush (\d+) entries/s, bare (\d+) entries/s, ratio ([\d.]+)", said).groups())
            rows.append(at_least(f"flush to {name}", share, 0.9,
                                 f"{share:.2f} of the bare client ({ours:.0f} entries/s, bare {bare:.0f})",
                                 "≥ 0.90 of the bare client"))
    return rows


# --- flags -------------------------------------------------------------------------------------


class Watched:
    """A process with many messages that tells when one of them falls silent, or is heard again."""

    def __init__(self, fleet, agent):
        self.agent = agent
        heard, console = os.pipe()
        self._host = fleet.host(agent, "flags", MESSAGES, heard, stdout=console, pass_fds=(heard,))
        os.close(heard)
        os.close(console)
        self._rest = b""
        wait_until(lambda: len(agent.counts()) == MESSAGES, "the agent knows all messages")
        self.hashes = [entry["hash"] for entry in
                       sorted(agent.entries(), key=lambda entry: self._number(entry))]

    @staticmethod
    def _number(entry):
        word = re.search(r"worker ([k-t]{6}) has", entry["messageTemplate"]).group(1)
        return int("".join(str(ord(letter) - ord("k")) for letter in reversed(word)))

    def events(self):
        """(message, silent, seconds) of the clock that time.monotonic() has, at least one."""
        while b"\n" not in self._rest:
            self._rest += self._host.read()
        *lines, self._rest = self._rest.split(b"\n")
        return [(int(message), silent == b"1", int(ns) / 1e9)
                for message, silent, ns in map(bytes.split, lines)]

    def one_by_one(self, flip, rounds):
        """Milliseconds from each change to the first call that obeys; each waits for the one before."""
        took = []
        for number in range(rounds):
            for message, digest in enumerate(self.hashes):
                silent = number % 2 == 0
                began = time.monotonic()
                flip(digest, silent)
                obeyed = None
                while obeyed is None:
                    obeyed = next((seconds for told, now, seconds in self.events()
                                   if (told, now) == (message, silent)), None)
                took.append((obeyed - began) * 1e3)
        return took

    def all_at_random(self, flip, rounds, period_s):
        """The same, each at a moment of its own within the period."""
        took = []
        for number in range(rounds):
            silent, began = number % 2 == 0, {}
            start = time.monotonic()
            for message, at in enumerate(sorted(random.uniform(0, period_s) for _ in self.hashes)):
                time.sleep(max(0, start + at - time.monotonic()))
                began[message] = time.monotonic()
                flip(self.hashes[message], silent)
            missing = set(began)
            while missing:
                for message, now, seconds in self.events():
                    if now == silent and message in missing:
                        missing.discard(message)
                        took.append((seconds - began[message]) * 1e3)
        return took


def histogram(what, took, limit_ms, budget):
    took = sorted(took)
    points = {name: took[min(len(took) - 1, int(len(took) * share))]
              for name, share in (("p50", .5), ("p90", .9), ("p99", .99))}
    text = " ".join(f"{name} {ms:.0f}" for name, ms in
                    {"min": took[0], **points, "max": took[-1]}.items())
    return at_most(what, points["p99"], limit_ms, f"{text} ms ({len(took)} changes)", budget)


def flags(bench):
    """From the beginning of the change to the first call of a running process that obeys."""
    with Fleet(bench) as fleet:
        redis, mongo = fleet.server(Redis), fleet.server(Mongo)
        agent = fleet.agent(redis, mongo)
        watched = Watched(fleet, agent)
        client, entries = redis.client(), mongo.db["entries"]

        def on_host(digest, silent):
            agent.ask("mute" if silent else "unmute", digest)

        def in_redis(digest, silent):
            client.hset(f"logfold:{NAMESPACE}:entry:{{{digest}}}", "enabled",
                        "false" if silent else "true")
            client.publish(f"logfold:{NAMESPACE}:flags", digest)

        def in_mongo(digest, silent):
            entries.update_one({"_id": f"{NAMESPACE}:{digest}"}, {"$set": {"enabled": not silent}})

        wait_until(lambda: client.dbsize() > MESSAGES and entries.count_documents({}) == MESSAGES,
                   "the tiers know all messages")
        rows = [histogram("flag to process: logfold mute", watched.one_by_one(on_host, 4), 100,
                          "99 % ≤ 100 ms"),
                histogram("flag to process: HSET + PUBLISH", watched.one_by_one(in_redis, 4), 1000,
                          "99 % ≤ 1 s")]
        wait_until(lambda: entries.count_documents({"enabled": True}) == MESSAGES,
                   "MongoDB knows that nothing is muted")
        return rows + [histogram("flag to process: updateOne, polled",
                                 watched.all_at_random(in_mongo, 2, POLL_S),
                                 POLL_S * 1000 + READING_MS,
                                 f"99 % ≤ the poll of {POLL_S} s, and its reading")]


# --- the agent ---------------------------------------------------------------------------------


def processor_s(process):
    """What all its threads used so far, to the nanosecond."""
    return time.clock_gettime(~process.pid << 3 | CPUCLOCK_SCHED)


def memory_mib(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) / 1024


def cost(agent, each_second=lambda: None):
    """Percent of a processor while that is done each second, and MiB."""
    before, began = processor_s(agent.process), time.monotonic()
    for second in range(1, WINDOW_S + 1):
        each_second()
        time.sleep(max(0, began + second - time.monotonic()))
    used, passed = processor_s(agent.process) - before, time.monotonic() - began
    return used / passed * 100, memory_mib(agent.process)


def row_of(what, measured, limit=None):
    percent, mib = measured
    text = f"{percent:.2f} % of a processor, {mib:.0f} MiB"
    if limit is None:
        return without_budget(what, percent, text)
    return at_most(what, percent, limit, text, f"≤ {limit:.1f} %")


def settled(agent, count):
    """All is in the store and in the tiers, and nothing is left to be summed."""
    wait_until(lambda: len(agent.counts()) == count, f"{count} entries in the store")
    wait_until(lambda: all(tier["waiting"] == 0 for tier in agent.health()["tiers"]),
               "the tiers have all", EVENT_S)
    time.sleep(SETTLE_S)


def live_entries(fleet, count, processes, *servers):
    """Idle, and while all of them change each second."""
    agent = fleet.agent(*servers)
    each = count // processes
    hosts = [fleet.host(agent, "live", i * each, each) for i in range(processes)]
    settled(agent, count)

    def print_all():
        for host in hosts:
            host.again()

    tiers = " and ".join("MongoDB" if isinstance(server, Mongo) else "Redis" for server in servers)
    rows = [row_of(f"agent idle: {count} entries, {tiers}", cost(agent), 1 if count else 0.5)]
    if count:
        rows.append(row_of(f"agent: {count} entries change each second, {tiers}",
                           cost(agent, print_all)))
    agent.kill()
    return rows


def many_processes(fleet, count, *servers):
    """That printed a few messages each, and sleep."""
    agent = fleet.agent(*servers)
    asleep, awake = os.pipe()
    hosts = [fleet.host(agent, "live", 0, 5, stdin=asleep) for _ in range(count)]
    os.close(asleep)
    try:
        for host in hosts:
            host.read()
        agent.settled(5 * count)
        settled(agent, 5)
        return [row_of(f"agent idle: {count} processes", cost(agent), 1)]
    finally:
        os.close(awake)


def agent(bench):
    """What the agent itself uses."""
    with Fleet(bench) as fleet:
        redis, mongo = fleet.server(Redis), fleet.server(Mongo)
        return [*live_entries(fleet, 0, 1, redis, mongo),
                *live_entries(fleet, 1000, 1, redis, mongo),
                *live_entries(fleet, 100000, 8, redis),
                *many_processes(fleet, 500, redis, mongo)]
