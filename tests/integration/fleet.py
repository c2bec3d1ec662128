"""`logfold agent` for tests: each on a run directory and a store of its own.

    agent                    starts one:   agent(mongo=mongo, redis=redis)
        .stop() .kill() .start() .reload(**sections)
        .host(program, *arguments)           runs a program under the hook, in its run directory
        .ask("ls", "--json") .entries()      the command, at this agent
        .health()                            logfold health --json, read
        .said()                              what it told on stderr so far
        .settled(count)                      waits until the store holds so many calls

Sections of agent.toml are given as keywords:  agent(redis=redis, agent={"flush_interval_ms": 100}).
A server stands for its section.
"""

import json
import os
import pathlib
import signal
import sqlite3
import subprocess

import pytest
from conftest import DEADLINE_S, wait_until
from servers_mongo import Mongo
from servers_redis import Cluster, Redis

# So that a test does not wait for what would come anyway.
QUICK = {"agent": {"drain_interval_ms": 100, "flush_interval_ms": 100},
         "mongo": {"poll_interval_ms": 1000}, "redis": {"poll_interval_ms": 1000},
         "breaker": {"backoff_min_ms": 50, "backoff_max_ms": 500}}


def section_of(name, value):
    if isinstance(value, Mongo):
        return {"enabled": True, "uri": value.uri, "database": value.database}
    if isinstance(value, (Redis, Cluster)):
        return {"enabled": True, "url": value.url}
    return value


def toml(value):
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value) if isinstance(value, (bool, str)) else str(value)


class Agent:
    def __init__(self, logfold, folder, preload, sections):
        self._logfold = logfold
        self._preload = preload
        self.folder = folder
        self.run_dir = folder / "run"
        self.store = folder / "entries.db"
        self.file = folder / "agent.toml"
        self._log = folder / "agent.log"
        self.process = None
        self.run_dir.mkdir(mode=0o700)
        self.write(**sections)

    def write(self, **sections):
        """A new agent.toml."""
        given = {name: section_of(name, value) for name, value in sections.items()}
        given.setdefault("agent", {})
        given["agent"] |= {"run_dir": str(self.run_dir), "store": str(self.store)}
        with self.file.open("w") as out:
            for name in {**QUICK, **given}:
                keys = QUICK.get(name, {}) | given.get(name, {})
                out.write(f"[{name}]\n" + "".join(f"{k} = {toml(v)}\n" for k, v in keys.items()))

    def launch(self):
        with self._log.open("ab") as log:
            self.process = self._logfold.start("agent", "-c", self.file, stderr=log, stdout=log)

    def start(self):
        self.launch()
        wait_until(self._answers, "the agent answers")
        return self

    def _answers(self):
        if self.process.poll() is not None:
            pytest.fail(f"the agent ended: {self.said()}")
        return bool(self.ask("health", "--json").stdout)

    def _end(self, how):
        self.process.send_signal(how)
        return self.process.wait(timeout=DEADLINE_S)

    def stop(self):
        return self._end(signal.SIGTERM)

    def kill(self):
        return self._end(signal.SIGKILL)

    def reload(self, **sections):
        self.write(**sections)
        self.process.send_signal(signal.SIGHUP)

    def said(self):
        return self._log.read_text() if self._log.exists() else ""

    def ask(self, verb, *arguments, **how):
        return self._logfold(verb, "--agent", self.run_dir, *arguments, **how)

    def entries(self):
        return [json.loads(line) for line in self.ask("ls", "--json").stdout.splitlines()]

    def health(self):
        return json.loads(self.ask("health", "--json").stdout)

    def tier(self, name):
        return next(tier for tier in self.health()["tiers"] if tier["name"] == name)

    def generation(self):
        """Of the flags that its processes see: 0 as long as nothing was published, or is being so."""
        return generation_of(self.run_dir / "flags")

    def environment(self, namespace=None):
        return self._logfold.environment({
            "LD_PRELOAD": self._preload, "LOGFOLD_RUN_DIR": self.run_dir,
            "LOGFOLD_NAMESPACE": namespace})

    def host(self, *command, namespace=None, **how):
        """A program under the hook, to its end."""
        return subprocess.run([str(word) for word in command], env=self.environment(namespace),
                              check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              timeout=DEADLINE_S, **how)

    def start_host(self, *command, namespace=None, **how):
        return subprocess.Popen([str(word) for word in command], env=self.environment(namespace),
                                **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL} | how)

    def counts(self):
        """{(namespace, hash): countTotal} of the store itself."""
        if not self.store.exists():
            return {}
        store = sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=DEADLINE_S)
        try:
            return {(n, h): total for n, h, total in
                    store.execute("SELECT namespace, hash, countTotal FROM entries")}
        finally:
            store.close()

    def settled(self, count):
        wait_until(lambda: sum(self.counts().values()) == count,
                   lambda: f"{count} calls in the store, which has {self.counts()}")


@pytest.fixture
def agent(logfold, preload, tmp_path):
    made = []

    def make(start=True, **sections):
        folder = tmp_path / f"agent-{len(made)}"
        folder.mkdir(mode=0o700)
        made.append(Agent(logfold, folder, preload, sections))
        return made[-1].start() if start else made[-1]

    yield make
    for one in made:
        if one.process and one.process.poll() is None:
            one.kill()


def generation_of(flags):
    """Of a file of flags; 0 while it is being written."""
    number = int.from_bytes(flags.read_bytes()[16:20], "little")
    return 0 if number % 2 else number


def in_mongo(mongo, collection="entries"):
    """{(namespace, hash): countTotal} as pymongo reads it."""
    found = {}
    for document in mongo.db[collection].find():
        key = document["namespace"], document["hash"]
        found[key] = found.get(key, 0) + document["countTotal"]
    return found


def in_redis(redis):
    """The same as redis-py reads it; what is evicted between its name and its fields is not there."""
    client = redis.client()
    found = {}
    for key in client.scan_iter("logfold:*:entry:*", count=1000):
        entry = client.hgetall(key)
        if entry:
            found[entry["namespace"], entry["hash"]] = int(entry["countTotal"])
    return found
