#!/usr/bin/env python3
"""The performance budget, each line measured beside its bare baseline: make bench

usage: run.py [--json FILE] [PART…]    all parts, or those whose name starts so

Prints one table, and what it is doing on stderr.  Where hooked and bare are compared, the two run in
turns, and the number is the median over the pairs.  --json writes the rows to FILE besides.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

import cache_parts
import fleet_parts
import peers
import whole
from rows import at_least, at_most, without_budget
from whole import pairs

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "bench"
DEADLINE_S = 60
KIB = 1024
FIXED_BYTES = 128 * KIB   # of a process; beyond them the entries count
SITES = 2000


class Bench:
    """The build, a folder for this run, and how to start things hooked and bare."""

    def __init__(self, build, folder):
        self.build = build
        self.folder = folder
        self.hook = build / "liblogfold-preload.so"
        self.logfold = build / "logfold"
        self.store = folder / "entries.db"
        self.result = folder / "result"
        self.bare = {k: v for k, v in os.environ.items()
                     if k not in ("LD_PRELOAD", "JOURNAL_STREAM") and not k.startswith("LOGFOLD_")}
        self.bare["BENCH_RESULT"] = str(self.result)
        self.host = self.compiled("host", HERE / "host.c")

    def compiled(self, name, source, *options, compiler="cc", standard="gnu11", libraries=()):
        """Built as anybody's program is, not with our flags."""
        program = self.folder / name
        subprocess.run([compiler, f"-std={standard}", "-D_GNU_SOURCE", "-O2", "-o", program, *options,
                        source, *libraries], check=True, timeout=DEADLINE_S)
        return program

    def new_run_dir(self):
        return tempfile.mkdtemp(prefix="run-", dir=self.folder)   # 0700

    def hooked(self):
        return self.bare | {"LD_PRELOAD": str(self.hook), "LOGFOLD_RUN_DIR": self.new_run_dir()}

    def under(self):
        """The command line of `logfold run`, to put before another."""
        return [self.logfold, "run", "--summary", "none", "--store", self.store, "--"]

    def run(self, command, env=None):
        """Its stdout, the console, is /dev/null; what the host wrote as its result."""
        self.result.unlink(missing_ok=True)
        subprocess.run([str(word) for word in command], env=env or self.bare, check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=DEADLINE_S)
        return self.result.read_text() if self.result.exists() else ""

    def numbers(self, command, env=None):
        return [float(number) for number in self.run(command, env).split()]

    def own(self, command):
        """The output of one of our bench programs, which compare for themselves."""
        done = subprocess.run([str(word) for word in command], text=True, timeout=DEADLINE_S,
                              env=self.bare | {"LOGFOLD_MODULE_DIR": str(self.build)},
                              stdout=subprocess.PIPE)
        return done.stdout


def ratio(found):
    return statistics.median(after / before for before, after in found)


def difference(found):
    return statistics.median(after - before for before, after in found)


# --- the parts ---------------------------------------------------------------------------------


def instructions(bench, what, env):
    """Of one call, counted: two runs of different length differ by the calls alone."""
    def total(calls):
        log = bench.folder / "callgrind.log"
        bench.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                   f"--log-file={log}", bench.build / "progs" / "cost", what, calls], env)
        return int(re.search(r"Collected : (\d+)", log.read_text()).group(1))
    return (total(1300) - total(300)) / 1000


def counted(bench):
    """A counted call that passes: printf with three arguments."""
    found = pairs(41, lambda: bench.numbers([bench.host, "format", 100000])[0],
                  lambda: bench.numbers([bench.host, "format", 100000], bench.hooked())[0])
    bare = statistics.median(before for before, _ in found)
    rows = [at_most("counted printf, 3 arguments: time", ratio(found), 1.10,
                    f"{ratio(found):.3f} of the bare {bare:.0f} ns", "≤ 1.10 of the bare call")]
    if shutil.which("valgrind"):
        more = instructions(bench, "format", bench.hooked()) - instructions(bench, "format", None)
        rows.append(at_most("counted printf, 3 arguments: instructions", more, 60,
                            f"{more:.0f} more than bare", "≤ 60 more"))
    return rows


def muted(bench):
    """A muted call whose format has no conversions."""
    env = bench.bare | {"LOGFOLD_RUN_DIR": bench.new_run_dir()}
    bench.run([*bench.under(), bench.host, "constant", 1], env)
    bench.run([bench.logfold, "mute", "--store", bench.store, "method=printf"], env)
    hooked = [*bench.under(), bench.host, "constant", 300000]
    found = pairs(31, lambda: bench.numbers([bench.host, "constant", 300000])[0],
                  lambda: bench.numbers(hooked, env)[0])
    bare = statistics.median(before for before, _ in found)
    return [at_most("muted printf, no conversions: time", ratio(found), 1 / 3,
                    f"{ratio(found):.2f} of the bare {bare:.0f} ns", "≤ 0.33 of the bare call")]


def line_ns(bench, what):
    """What the hook adds to a write of a line."""
    return difference(pairs(
        31, lambda: bench.numbers([bench.host, what, 245760])[0],
        lambda: bench.numbers([bench.host, what, 245760], bench.hooked())[0]))


def masked(bench):
    """A masked line: the hook's part of a write, and the mask alone."""
    usual, fresh = line_ns(bench, "write"), line_ns(bench, "fresh")
    (line,) = bench.numbers([bench.host, "line"])
    alone = bench.own([bench.build / "bench" / "bench_mask"])
    millions, ns = map(float, re.search(r"mask: ([\d.]+) million lines/s \((\d+) ns", alone).groups())
    return [
        at_least("masked line, whole hook", 1e3 / usual, 3,
                 f"{1e3 / usual:.2f} M lines/s ({usual:.0f} ns, {line:.0f} bytes)", "≥ 3 M lines/s"),
        without_budget("masked line, whole hook, none alike", 1e3 / fresh,
                       f"{1e3 / fresh:.2f} M lines/s ({fresh:.0f} ns)"),
        at_least("masked line, lf_mask() alone", millions, 3, f"{millions:.2f} M lines/s ({ns:.0f} ns)",
                 "≥ 3 M lines/s"),
    ]


SITES_PROGRAM = """
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static double us[2][%(sites)d];
static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}
static int by_value(const void *a, const void *b)
{
	return (*(double *)a > *(double *)b) - (*(double *)a < *(double *)b);
}
static void print_all(int round)
{
	double start;
%(calls)s}
int main(void)
{
	FILE *result = fopen(getenv("BENCH_RESULT"), "w");
	printf("the module's symbols are indexed now: %%d\\n", 1);
	print_all(0);
	print_all(1);
	for (int i = 0; i < 2; i++)
		qsort(us[i], %(sites)d, sizeof(double), by_value);
	fprintf(result, "%%.3f %%.3f\\n", us[0][%(sites)d / 2], us[1][%(sites)d / 2]);
	return 0;
}
"""


def first_sight(bench):
    """The first call at each of many call sites, and the second."""
    source = bench.folder / "sites.c"
    calls = "".join(f'\tstart = now(); printf("message {i} of many in round %d\\n", round); '
                    f"us[round][{i}] = now() - start;\n" for i in range(SITES))
    source.write_text(SITES_PROGRAM % {"sites": SITES, "calls": calls})
    program = bench.compiled("sites", source)
    found = pairs(9, lambda: bench.numbers([program]), lambda: bench.numbers([program], bench.hooked()))
    bare, first, again = (statistics.median(f) for f in (
        [before[0] for before, _ in found], [after[0] for _, after in found],
        [after[1] for _, after in found]))
    alone = bench.own([bench.build / "bench" / "bench_first_sight"])
    frame = float(re.search(r"in this program: median ([\d.]+) us", alone).group(1))
    return [at_most(f"first sight of a message, {SITES} sites", first - bare, 50,
                    f"{first - bare:.1f} µs median (again {again:.2f}, frame alone {frame:.1f})", "≤ 50 µs")]


def start_up(bench):
    """A process that prints nothing, with the hook and with an empty library."""
    silent = bench.folder / "silent.c"
    silent.write_text("int main(void) { return 0; }\n")
    nothing = bench.folder / "nothing.c"
    nothing.write_text("")
    program = bench.compiled("silent", silent)
    empty = bench.compiled("empty.so", nothing, "-shared", "-fPIC")
    env = bench.bare | {"LOGFOLD_RUN_DIR": bench.new_run_dir()}
    with_empty, with_hook = bench.numbers([bench.host, "starts", 700, program, empty, bench.hook], env)
    more = with_hook - with_empty
    return [at_most("start-up of a silent process", more, 0.2,
                    f"{more:.3f} ms over {with_empty:.3f} ms", "≤ 0.2 ms over an empty library")]


def memory_bytes(smaps, run_dir):
    """Writable memory: all of a segment, which is reserved whole, and of the rest the pages that are
    the process's own.  The flags table, read-only, is there once for all of a run directory."""
    total = 0
    for mapping in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", smaps):
        head, _, fields = mapping.partition("\n")
        if head and head.split()[1][1] == "w":
            field = "Size" if run_dir in head else "Anonymous"
            total += int(re.search(rf"(?m)^{field}:\s+(\d+) kB", fields).group(1)) * KIB
    return total


def memory(bench):
    """What the hook adds to a process with many messages."""
    rows = []
    for entries in (1000, 10000):
        env = bench.hooked()
        hooked = memory_bytes(bench.run([bench.host, "entries", entries], env), env["LOGFOLD_RUN_DIR"])
        more = hooked - memory_bytes(bench.run([bench.host, "entries", entries]), env["LOGFOLD_RUN_DIR"])
        each = (more - FIXED_BYTES) / entries
        rows.append(at_most(f"process memory, {entries} entries", each, 256,
                            f"{each:.0f} bytes an entry + 128 KiB ({more / KIB:.0f} KiB in all)",
                            "≤ 256 bytes an entry + 128 KiB"))
    return rows


def drain(bench):
    """Drain and commit of changed entries."""
    program = bench.build / "bench" / "bench_drain"
    if not program.exists():
        return []
    per_s, bare = map(float, re.search(r"drain: (\d+) changed .* bare SQLite (\d+)/s",
                                       bench.own([program, bench.folder])).groups())
    return [at_least("drain + SQLite commit", per_s, 100000,
                     f"{per_s:.0f} changed entries/s (bare SQLite {bare:.0f})", "≥ 100000 entries/s")]


PARTS = {
    "counted": counted,
    "muted": muted,
    "peers": peers.peers,
    "masked": masked,
    "first-sight": first_sight,
    "start-up": start_up,
    "memory": memory,
    "drain": drain,
    "whole": whole.whole_programs,
    "redis": whole.redis,
    "cache-memory": cache_parts.memory,
    "cache-hits": cache_parts.hits,
    "flush": fleet_parts.flush,
    "flags": fleet_parts.flags,
    "agent": fleet_parts.agent,
    "cache-redis": cache_parts.redis_get,
    "cache-stack": cache_parts.stack,
    "cache-example": cache_parts.example,
    "cache-agent": cache_parts.agent,
}


# --- the table ---------------------------------------------------------------------------------


def print_table(rows):
    cells = [("what", "measured", "budget", "")]
    cells += [(r.what, r.measured, r.budget,
               "" if not r.budget else "within" if r.within else "MISSED") for r in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for row in cells:
        line = "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[3]]).rstrip()
        print(f"\033[1;31m{line}\033[0m" if colours and row[3] == "MISSED" else line)


def measure(build, parts):
    rows, failed = [], []
    with tempfile.TemporaryDirectory(prefix="logfold-bench-") as folder:
        bench = Bench(build, pathlib.Path(folder))
        for name in parts:
            print(f"bench: {name} …", file=sys.stderr, flush=True)
            try:
                rows += PARTS[name](bench)
            # The other parts still say something.
            except (subprocess.SubprocessError, fleet_parts.Failed) as error:
                print(f"bench: {name} was not measured: {error}", file=sys.stderr)
                failed.append(name)
    return rows, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", metavar="FILE", help="write the rows there, as JSON")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    wanted = parser.parse_args()
    parts = [name for name in PARTS
             if not wanted.parts or any(name.startswith(start) for start in wanted.parts)]
    rows, failed = measure(ROOT / os.environ.get("LOGFOLD_BUILD", ".build/plain"), parts)
    print_table(rows)
    print("load average %.1f on %d processors; other programs that run make the numbers worse"
          % (os.getloadavg()[0], os.cpu_count()), file=sys.stderr)
    if wanted.json:
        pathlib.Path(wanted.json).write_text(json.dumps([row._asdict() for row in rows], indent=1,
                                                        ensure_ascii=False) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
