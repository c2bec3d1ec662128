"""The parts of the bench that are about the cache.

    redis_get   a value out of the tier in Redis, beside a bare hiredis
    stack       a get and a set through all tiers of one host under load; what another cache takes to hear of a change
    memory      a hit in memory, beside a bare uthash
    hits        how often each policy has what is asked for, beside LRU
    example     the answers of tests/progs/cached_shop.c, with the cache and without
    agent       what an agent's memory holds of the entries that it looked up
"""
import json
import re
import statistics

from fleet_parts import Fleet, Redis
from rows import at_least, at_most, without_budget

HOT_KEYS = 1000           # those that a program asks for again and again; they and the table stay in its processor
MORE_KEYS = (10000, 100000)
HIT_NS = 100
ENTRIES = 300000
MIB = 1024 * 1024


def redis_get(bench):
    """One connection each, the same key, in turns."""
    with Fleet(bench) as fleet:
        server = fleet.server(Redis)
        said = bench.own([bench.build / "bench" / "bench_cache_redis", server.port])
    ours, bare, share = map(float, re.search(r"get ([\d.]+) us, bare ([\d.]+) us, ratio ([\d.]+)", said).groups())
    return [at_most("cache: a value out of Redis", share, 1.10,
                    f"{share:.3f} of a bare GET ({ours:.1f} us, bare {bare:.1f} us)", "≤ 1.10 of a bare hiredis GET")]


def stack(bench):
    """Sixteen threads, a set to four gets, memory for a tenth of the keys; then a change told to another cache."""
    with Fleet(bench) as fleet:
        server = fleet.server(Redis)
        said = bench.own([bench.build / "bench" / "bench_cache_stack", bench.folder / "stack.db",
                          f"redis://127.0.0.1:{server.port}"])
    found = {what: tuple(map(float, rest)) for what, *rest in
             re.findall(r"(\w+) p50 ([\d.]+) p99 ([\d.]+) max ([\d.]+) ms", said)}
    rows = [at_most(f"cache: {what} through memory, SQLite and Redis, 16 threads", found[what][1], limit,
                    "p50 {:.2f} ms, p99 {:.2f}, max {:.1f}".format(*found[what]), f"p99 < {limit} ms")
            for what, limit in (("get", 25), ("set", 30))]
    return rows + [at_most("cache: a change is heard of by another cache on the host", found["told"][2], 100,
                           "p50 {:.2f} ms, p99 {:.2f}, max {:.1f}".format(*found["told"]), "< 100 ms")]


def hit(bench, keys):
    """Of one lookup: uthash, lf_memory_get() and, where it is measured, lf_cache_get(), in nanoseconds."""
    found = bench.own([bench.build / "bench" / "bench_cache_memory", keys])
    return {name: float(ns) for name, ns in re.findall(r"(\w+) ([\d.]+) ns", found)}


def memory(bench):
    # Other programs only ever make it slower: the best of a few.
    hot = min((hit(bench, HOT_KEYS) for _ in range(3)), key=lambda found: found["lf_cache_get"])
    rows = [at_most(f"memory hit, {name}(), {HOT_KEYS} keys", ns, HIT_NS,
                    f"{ns:.0f} ns median, uthash alone {hot['uthash']:.0f} ns", f"≤ {HIT_NS} ns")
            for name, ns in hot.items() if name != "uthash"]
    for keys in MORE_KEYS:
        more = hit(bench, keys)
        for name, ns in more.items():
            if name != "uthash":
                rows.append(without_budget(f"memory hit, {name}(), {keys} keys", ns,
                                           f"{ns:.0f} ns median, uthash alone {more['uthash']:.0f} ns"))
    return rows


def hits(bench):
    rows = []
    for line in bench.own([bench.build / "bench" / "bench_cache_hits"]).splitlines():
        what, shares = line.split(": ")
        pct = {name: float(share) for name, share in re.findall(r"(\w+) ([\d.]+)", shares)}
        rows.append(at_least(f"hits, {what} of the keys fit", pct["s3fifo"] - pct["lru"], 0,
                             "LRU {lru:.1f} %, LFU {lfu:.1f}, FIFO {fifo:.1f}, S3-FIFO {s3fifo:.1f}".format(**pct),
                             "S3-FIFO ≥ LRU"))
    return rows


def example(bench):
    """The same reads and changes of the same rows, in turns."""
    program = bench.build / "progs" / "cached_shop"
    days = [[json.loads(line) for line in bench.own([program, bench.folder / "shop.db", 50000, 100]).splitlines()]
            for _ in range(5)]
    factor = statistics.median(without["seconds"] / cached["seconds"] for without, cached in days)
    without, cached = days[0]
    return [at_least("cache: rows of a database and what is made of them", factor, 2,
                     f"{factor:.1f} times as fast ({cached['queries']} queries, without {without['queries']})",
                     "≥ 2 times as fast as without"),
            at_least("cache: hit rate of that, a change each 100 reads", cached["hitRate"], 80,
                     f"{cached['hitRate']:.1f} %", "≥ 80 %")]


def agent(bench):
    """What an agent's memory holds of entries that it looked up, beside a map without a bound."""
    program = bench.build / "bench" / "bench_cache_agent"
    if not program.exists():
        return []
    count, *numbers = map(int, re.search(
        r"(\d+) entries: map (\d+), cache (\d+) with (\d+) of them; a known hash: map (\d+) ns, cache (\d+) ns",
        bench.own([program, ENTRIES])).groups())
    in_map, in_cache, kept, map_ns, cache_ns = numbers
    less = 100 * (1 - in_cache / in_map)
    return [at_least(f"agent's memory, {count} entries looked up", less, 30,
                     f"{in_cache / MIB:.0f} MiB, {kept} kept (unbounded uthash {in_map / MIB:.0f}): {less:.0f} % less",
                     "≥ 30 % less than an unbounded map"),
            without_budget("a known hash, with its space by name", cache_ns,
                           f"{cache_ns} ns (uthash {map_ns})")]
