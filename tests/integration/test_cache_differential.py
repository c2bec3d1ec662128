"""The cache beside a real Redis: the same commands, made at random, to both, and the same answers.

The cache's clock is in a year that the server's will not see for long, and moves by command, days at a time.
All that expires does so in the reference at the cache's time: it is set by PEXPIREAT, and deleted when that clock
has passed it.

LOGFOLD_SEED=N makes all of it anew from another seed.
"""

import os
import random
import subprocess

import pytest
from conftest import DEADLINE_S

SEED = int(os.environ.get("LOGFOLD_SEED", 6))
BEGIN_MS = 3_000_000_000_000
DAY_MS = 86_400_000
TAIL = 25  # commands that a failure shows
SHORTENINGS = 200  # how often what failed is tried with less
MIN, MAX = -2**63, 2**63 - 1

IDS = [b"a", b"b", b"count", b"a:b%c", b"\x00\xff{x}*", "zoë".encode(), b"[a]?", b"k" * 1024]
FIELDS = [b"f", b"g", b"", b"\x00", b"\xff\xfe", b"f" * 300, b"7"]
INTEGERS = [0, 1, -1, 2, 10, 99, MAX, MIN, MAX - 1, MIN + 1, 2**62, -2**62]
NO_INTEGERS = [b"", b"-", b"-0", b"+1", b" 1", b"1 ", b"01", b"1.5", b"1e3", b"0x1", b"1\x00", b"9223372036854775808",
               b"-9223372036854775809", b"99999999999999999999", b"100000000000000000000000"]
BYTES = [b"v", b"\x00", b"\xc3\x28 not utf-8 \xff", b"long" * 2500, b"\r\n", bytes(range(256))]
PATTERNS = [b"*", b"a*", b"?", b"[a-c]", b"[^a]*", b"*[b-d]", b"\\[*", b"a:*%?", b"z", b"*k", b"count"]
TIMES_MS = [1, 5, 999, 1000, 3_600_000, DAY_MS - 1, DAY_MS, 30 * DAY_MS]


# --- commands, as lists: a name, then bytes and numbers ----------------------------------------------


class Commands:
    """Makes them from a seed.  It knows its clock and nothing of what is there."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.now_ms = BEGIN_MS

    def pick(self, what):
        return self.random.choice(what)

    def id(self):
        # Most of them few, so that commands meet.
        return self.pick(IDS[:3]) if self.random.random() < 0.7 else self.pick(IDS)

    def value(self):
        kind = self.random.random()
        if kind < 0.5:
            return str(self.pick(INTEGERS)).encode()
        return self.pick(NO_INTEGERS if kind < 0.65 else BYTES)

    def point(self):
        """In time; some have passed."""
        return self.now_ms + (self.pick(TIMES_MS) if self.random.random() < 0.8 else -self.pick([0, 1, DAY_MS]))

    def how_to_set(self):
        how = self.pick([[], [], [], ["keep"], [("px", self.pick(TIMES_MS))], [("pxat", self.point())]])
        return how + self.pick([[], [], ["nx"], ["xx"]])

    def some(self, what):
        return [self.pick(what) for _ in range(self.pick([1, 1, 2, 3]))]

    def pairs(self, names):
        return [word for name in self.some(names) for word in (name, self.value())]

    def step(self):
        self.now_ms += self.pick([0, 1, 1, 5, 500, 1000, 60_000, 3_600_000, DAY_MS - 1, DAY_MS])
        return ["clock", self.now_ms]

    def make(self):
        key = self.id()
        makers = {
            "get": (12, lambda: [key]),
            "set": (14, lambda: [key, self.value(), *self.how_to_set()]),
            "del": (4, lambda: [key]),
            "exists": (3, lambda: [key]),
            "mget": (4, lambda: self.some(IDS)),
            "mset": (3, lambda: self.pairs(IDS)),
            "incr": (4, lambda: [key]),
            "decr": (3, lambda: [key]),
            "incrby": (5, lambda: [key, self.pick(INTEGERS)]),
            "decrby": (5, lambda: [key, self.pick(INTEGERS)]),
            "expire": (5, lambda: [key, self.pick([*TIMES_MS, 0, -1, -DAY_MS])]),
            "expireat": (4, lambda: [key, self.point()]),
            "ttl": (7, lambda: [key]),
            "persist": (3, lambda: [key]),
            "hget": (5, lambda: [key, self.pick(FIELDS)]),
            "hset": (8, lambda: [key, *self.pairs(FIELDS)]),
            "hdel": (5, lambda: [key, *self.some(FIELDS)]),
            "hexists": (3, lambda: [key, self.pick(FIELDS)]),
            "hgetall": (4, lambda: [key]),
            "scan": (1, lambda: self.pick([[], [self.pick(PATTERNS)]])),
            "flush": (0.1, lambda: []),
        }
        if self.random.random() < 0.04:
            return self.step()
        name, = self.random.choices(list(makers), [weight for weight, _ in makers.values()])
        return [name, *makers[name][1]()]


# --- the cache -------------------------------------------------------------------------------------------


def word(of):
    if isinstance(of, bytes):
        return "x" + of.hex()
    return f"{of[0]}={of[1]}" if isinstance(of, tuple) else str(of)


def unword(of):
    if of == "~":
        return None
    return bytes.fromhex(of[1:]) if of[0] == "x" else int(of)


def parsed(line, name):
    """An answer as both are compared: an error's name, a number, bytes, or what holds them."""
    if line.startswith("-"):
        return line.split()[0]
    if name == "scan":
        _, *ids, rc = line.split()
        return sorted(unword(one) for one in ids) if rc == "0" else line
    rc, *found = line.split()
    rc, found = int(rc), [unword(one) for one in found]
    if name in ("get", "hget"):
        return found[0] if rc else None
    if name == "mget":
        assert rc == sum(one is not None for one in found), line
        return found
    if name in ("incr", "decr", "incrby", "decrby", "ttl"):
        return found[0] if found else None
    if name == "hgetall":
        return dict(zip(found[::2], found[1::2]))
    return rc


def answers_of_the_cache(build, tiers, commands, folder):
    program = build / "tools" / "cache_drive"
    if not program.exists():
        pytest.fail(f"{program} is not built: run make build tools")
    asked, told = folder / "asked", folder / "told"
    asked.write_text("".join(" ".join(word(one) for one in command) + "\n" for command in commands))
    with asked.open() as lines, told.open("w") as answers:
        ended = subprocess.run([program, *tiers], stdin=lines, stdout=answers, stderr=subprocess.PIPE, text=True,
                               env=os.environ | {"LOGFOLD_MODULE_DIR": str(build)}, timeout=20 * DEADLINE_S)
    assert ended.returncode == 0, ended.stderr
    return told.read_text().splitlines()


# --- the reference ---------------------------------------------------------------------------------------


ERRORS = {"WRONGTYPE": "-EPROTOTYPE", "not an integer": "-EBADMSG", "would overflow": "-ERANGE"}


class Reference:
    def __init__(self, client):
        self.client = client
        self.now_ms = BEGIN_MS
        self.answers = []
        self.pipeline = client.pipeline(transaction=False)

    def when(self, at_ms):
        """A time that has passed by the cache's clock has to have passed by the server's."""
        return at_ms if at_ms > self.now_ms else 1

    def set_words(self, how):
        words = {"keep": ["KEEPTTL"], "nx": ["NX"], "xx": ["XX"]}
        times = {"px": self.now_ms, "pxat": 0}
        return [one for option in how for one in (words[option] if isinstance(option, str) else
                                                  ["PXAT", self.when(times[option[0]] + option[1])])]

    def translated(self, name, words):
        if name == "set":
            return ["SET", *words[:2], *self.set_words(words[2:])]
        if name == "expire":
            return ["PEXPIREAT", words[0], self.when(self.now_ms + words[1])]
        if name == "expireat":
            return ["PEXPIREAT", words[0], self.when(words[1])]
        if name == "scan":
            return ["SCAN", 0, "COUNT", 1000, *(["MATCH", *words] if words else [])]
        return [{"flush": "FLUSHDB", "ttl": "PEXPIRETIME"}.get(name, name.upper()), *words]

    def clock(self, now_ms):
        self.finish()
        self.now_ms = now_ms
        for key in IDS:
            self.pipeline.execute_command("PEXPIRETIME", key)
        passed = [key for key, at in zip(IDS, self.pipeline.execute()) if 0 < at <= now_ms]
        if passed:
            self.client.delete(*passed)

    def finish(self):
        self.answers += self.pipeline.execute(raise_on_error=False)

    def answer(self, name, raw):
        if isinstance(raw, Exception):
            return next((ours for theirs, ours in ERRORS.items() if theirs in str(raw)), str(raw))
        if name == "ttl":
            return None if raw == -2 else -1 if raw == -1 else raw - self.now_ms
        if name == "scan":
            return sorted(raw[1])
        if name == "mset":
            return 0
        if name in ("set", "flush"):
            return int(bool(raw)) if name == "set" else 0
        return dict(zip(raw[::2], raw[1::2])) if name == "hgetall" else raw

    def ask(self, commands):
        """All of them, and all answers."""
        out, since = [], []

        def collect():
            self.finish()
            out.extend(self.answer(name, raw) for name, raw in zip(since, self.answers))
            self.answers, since[:] = [], []

        for name, *words in commands:
            if name == "clock":
                collect()
                self.clock(words[0])
                out.append(0)
            else:
                since.append(name)
                self.pipeline.execute_command(*self.translated(name, words))
        collect()
        return out


# --- both ------------------------------------------------------------------------------------------------


class Both:
    def __init__(self, build, tiers, client, folder):
        self.build, self.tiers, self.client, self.folder = build, tiers, client, folder

    def answers(self, commands):
        """Of each command: what it was answered by the cache, as it was written, and by Redis."""
        commands = [["clock", BEGIN_MS], ["flush"], *commands]
        lines = answers_of_the_cache(self.build, self.tiers, commands, self.folder)
        self.client.flushall()
        wanted = Reference(self.client).ask(commands)
        assert len(lines) == len(commands) == len(wanted)
        got = [parsed(line, command[0]) for line, command in zip(lines, commands)]
        return list(zip(got, lines, wanted))[2:]

    def first_unlike(self, commands):
        return next((at for at, (got, _, want) in enumerate(self.answers(commands)) if got != want), None)

    def shortest(self, commands):
        """Fewer commands of which the last is still answered otherwise: the end of them, with ever less of it."""
        length = 1
        while length < len(commands) and self.first_unlike(commands[-length:]) is None:
            length *= 2
        kept = commands[-length:]
        kept = kept[:self.first_unlike(kept) + 1]
        piece, tries = len(kept) // 2, SHORTENINGS
        while piece and tries:
            at = 0
            while at < len(kept) - 1 and tries:
                fewer, tries = kept[:at] + kept[at + piece:], tries - 1
                unlike = self.first_unlike(fewer)
                kept, at = (kept, at + piece) if unlike is None else (fewer[:unlike + 1], at)
            piece //= 2
        return kept

    def compare(self, seed, count):
        maker = Commands(seed)
        commands = [maker.make() for _ in range(count)]
        at = self.first_unlike(commands)
        if at is None:
            return
        kept = self.shortest(commands[:at + 1])
        got, line, want = self.answers(kept)[-1]
        shown = "".join(f"\n  {command}" for command in kept[-TAIL:])
        pytest.fail(f"seed {seed}, command {at}, {self.tiers}: {commands[at]}\nafter no more than{shown}\n"
                    f"Redis: {want!r}\ncache: {got!r} ({line[:300]})")


@pytest.fixture
def reference(redis_server):
    """Of bytes, as they are."""
    import redis
    client = redis.Redis("127.0.0.1", redis_server().port, socket_timeout=DEADLINE_S)
    client.response_callbacks.clear()
    yield client
    client.close()


@pytest.fixture
def alike(build, reference, tmp_path):
    def run(tiers, seed, count):
        Both(build, tiers, reference, tmp_path).compare(SEED * 1000 + seed, count)

    return run


def test_memory_answers_as_redis_does(alike):
    alike(["memory"], 1, 50_000)


def test_memory_that_evicts_what_sqlite_has_answers_as_redis_does(alike, tmp_path):
    alike(["memory=2", f"sqlite={tmp_path / 'cache.db'}"], 2, 20_000)


def test_sqlite_answers_as_redis_does(alike, tmp_path):
    alike([f"sqlite={tmp_path / 'cache.db'}"], 3, 20_000)


def test_the_tier_in_redis_answers_as_redis_does(alike, redis):
    alike([f"redis={redis.url}"], 4, 20_000)


def test_all_four_tiers_answer_as_redis_does(alike, redis, mongo, tmp_path):
    alike(["memory=2", f"sqlite={tmp_path / 'cache.db'}", f"redis={redis.url}", f"mongo={mongo.uri}",
           f"database={mongo.database}"], 5, 10_000)


def test_mongo_answers_as_redis_does(alike, mongo):
    alike([f"mongo={mongo.uri}", f"database={mongo.database}"], 6, 3_000)
