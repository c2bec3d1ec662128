"""The part of the bench that stands beside others: what a call costs, here and there.

    peers   bare printf, spdlog behind its dup filter, a deferred logger's recording path, the preload
            library under each rule, and the linked API; all of them in turns, in one run
"""
import pathlib
import statistics
import subprocess

from rows import at_most, without_budget

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ROUNDS = 21
CALLS = 90000
BARE, COSTLY = "bare printf, 3 arguments", "bare printf, one argument is costly"
STAGED = "deferred logger's recording path (rebuilt)"
PASSES = "linked, counted (lf_passes)"
RULES = {
    "counted": (),
    "muted": ("mute",),
    "sampled 1/100": ("sample", 100),
    "limited 10/1s": ("limit", 10, 1000),
    "folded 1s": ("fold", 1000),
}


class Peers:
    """The programs, and how each is started: name → (command, environment)."""

    def __init__(self, bench):
        self.bench = bench
        self.variants = {}
        self.printf = bench.compiled("peer_printf", HERE / "peer_printf.c")
        self.linked = bench.compiled("peer_linked", HERE / "peer_linked.c", f"-I{ROOT / 'include'}",
                                     f"-L{bench.build}", f"-Wl,-rpath,{bench.build}",
                                     libraries=["-llogfold"])

    def add(self, name, command, env=None):
        self.variants[name] = ([*command, CALLS], env or self.bench.bare)

    def add_others(self):
        self.add(BARE, [self.printf, "plain"])
        self.add(COSTLY, [self.printf, "costly"])
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "spdlog"], check=True, text=True,
                               stdout=subprocess.PIPE).stdout.split()
        spdlog = self.bench.compiled("peer_spdlog", HERE / "peer_spdlog.cc", compiler="c++",
                                     standard="c++17", libraries=flags)
        self.add("spdlog + dup filter, messages differ", [spdlog, "differ"])
        self.add("spdlog + dup filter, one message repeated", [spdlog, "same"])
        staging = self.bench.compiled("peer_staging", HERE / "peer_staging.c", "-pthread")
        self.add(STAGED, [staging])

    def obeyed(self, name, command, rule, env):
        """A rule that does not reach the process would be measured as something else."""
        output = subprocess.run([str(word) for word in (*command, CALLS)], env=env, check=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
        lines = output.count(b"\n")
        if (lines > CALLS / 50) == bool(rule):
            raise subprocess.SubprocessError(f"'{name}' printed {lines} lines of {CALLS}")

    def add_ruled(self, name, command, rule, **more):
        env = self.environment(rule, **more)
        self.obeyed(name, command, rule, env)
        self.add(name, command, env)

    def environment(self, rule, **more):
        run_dir = self.bench.new_run_dir()
        if rule:
            self.bench.run([self.bench.build / "bench" / "bench_rules", run_dir, *rule])
        return self.bench.bare | {"LOGFOLD_RUN_DIR": run_dir} | more

    def add_ours(self):
        preload = {"LD_PRELOAD": str(self.bench.hook)}
        for name, rule in RULES.items():
            self.add_ruled(f"preload, {name}", [self.printf, "plain"], rule, **preload)
        self.add_ruled("preload, muted, one argument is costly", [self.printf, "costly"],
                       RULES["muted"], **preload)
        for name, rule in RULES.items():
            self.add_ruled(f"linked, {name} (lf_printf)", [self.linked, "plain"], rule)
        self.add_ruled("linked, muted, one argument is costly (lf_printf)", [self.linked, "costly"],
                       RULES["muted"])
        self.add(PASSES, [self.linked, "passes"], self.environment(()))
        self.add("linked, muted (lf_passes)", [self.linked, "passes"], self.environment(RULES["muted"]))
        self.add("linked, texts at run time (lf_call)", [self.linked, "call"], self.environment(()))

    def measured(self):
        """Nanoseconds of each, round by round; who begins a round changes."""
        names = list(self.variants)
        found = {name: [] for name in names}
        for i in range(ROUNDS):
            start = i * 5 % len(names)
            for name in names[start:] + names[:start]:
                found[name] += self.bench.numbers(*self.variants[name])
        return found


def ratio(found, name, other):
    return statistics.median(a / b for a, b in zip(found[name], found[other]))


def peers(bench):
    beside = Peers(bench)
    beside.add_others()
    beside.add_ours()
    found = beside.measured()
    rows = []
    for name, ns in found.items():
        text = f"{statistics.median(ns):.1f} ns"
        if name != BARE:
            text += f", {ratio(found, name, BARE):.2f} of the bare printf"
        if name == PASSES:
            rows.append(at_most(name, statistics.median(ns), 5, text, "≤ 5 ns"))
        else:
            rows.append(without_budget(name, statistics.median(ns), text))
    ahead = ratio(found, PASSES, STAGED)
    rows.append(at_most("linked, counted, beside the recording path", ahead, 1,
                        f"{ahead:.2f} of its time", "ahead of it"))
    return rows
