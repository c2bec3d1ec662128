"""The parts of the bench that run whole programs of 2 s and more, bare and under `logfold run`, in turns.

    whole   C, python3, perl, bash, a compile
    redis   a server under load, silent and talkative; it is the load that is timed

Each row says how much was printed, and what that comes to for a line: a program that does nothing but print
pays for each line, one that works for its lines does not notice.
"""
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from rows import at_most, without_budget

PAIRS, PAIRS_MAX = 5, 11
SPREAD = 0.03        # of the middle half of the ratios: while there is more, so is noise, and pairs are added
LEAST_S = 2.3        # what a run is made to take: 2 s even when the machine has more time than now
START_S = 20
FILES, FUNCTIONS = 12, 40

PYTHON_ORDERS = """
import json, logging, sys
logging.basicConfig(stream=sys.stdout, level=logging.INFO,
                    format="%(asctime)s %(levelname)s %(name)s: %(message)s")
log = logging.getLogger("shop")
def logged(number, customer):
    log.info("order %d of %s is on its way", number, customer)
def printed(number, customer):
    print("order", number, "of", customer, "is on its way")
for i in range(COUNT):
    order = json.loads('{"id": %d, "customer": "alice", "items": [1, 2, 3]}' % i)
    HOW(order["id"], order["customer"])
"""

PYTHON_COMPUTES = """
def collatz(n):
    steps = 0
    while n != 1:
        n = 3 * n + 1 if n % 2 else n // 2
        steps += 1
    return steps
for i in range(COUNT):
    best = max(range(100 * i + 1, 100 * i + 101), key=collatz)
    if i % 100 == 0:
        print("longest so far from", best)
"""

PERL_REPORT = """
for my $i (1 .. COUNT) {
    my %seen;
    $seen{$_}++ for split /[ ,]+/, "alice, bob, carol, dave, alice, erin, bob, frank $i";
    my @names = sort { $seen{$b} <=> $seen{$a} || $a cmp $b } keys %seen;
    printf "batch %d: %d names, most often %s\\n", $i, scalar @names, $names[0];
}
"""

BASH_SCRIPT = """
names=(alice bob carol dave erin)
declare -A orders
for ((i = 0; i < COUNT; i++)); do
    name=${names[i % 5]}
    orders[$name]=$((${orders[$name]:-0} + 1))
    case $name in
        [a-b]*) kind=first ;;
        *) kind=other ;;
    esac
    if [[ $kind == first && $name =~ ^(al|bo)(.*)$ ]]; then
        echo "order ${orders[$name]} of ${name^} ends in ${BASH_REMATCH[2]}"
    fi
done
"""

BASH_LOOP = 'for ((i = 0; i < COUNT; i++)); do echo "request $i of alice is on its way"; done'
PRINT_LOOP = 'for i in range(COUNT): print("order", i, "of alice is on its way")'


PROJECT_FUNCTION = """
static int partN(int x)
{
	for (int i = 0; i < x; i++)
		if (i % (N + 2) == x)
			printf("part N of FILE: %d\\n", i);
	return x * N;
}
"""


def python(program, how=""):
    return lambda _, n: [shutil.which("python3"), "-E", "-S", "-c",
                         program.replace("COUNT", str(n)).replace("HOW", how)]


def script(interpreter, option, program):
    return lambda _, n: [shutil.which(interpreter), option, program.replace("COUNT", str(n))]


def compile_project(bench, times):
    """A small C project, from scratch, so many times over."""
    folder = bench.folder / "project"
    if not folder.exists():
        folder.mkdir()
        for i in range(FILES):
            functions = "".join(PROJECT_FUNCTION.replace("FILE", str(i)).replace("N", str(n))
                                for n in range(FUNCTIONS))
            calls = " + ".join(f"part{n}(x)" for n in range(FUNCTIONS))
            (folder / f"file{i}.c").write_text(
                f"#include <stdio.h>\n{functions}int file{i}(int x) {{ return {calls}; }}\n")
        (folder / "Makefile").write_text(
            f"FILES := $(addprefix -file,$(shell seq 0 {FILES - 1}))\n"
            "OBJECTS := $(foreach n,$(shell seq $(TIMES)),$(patsubst %,$(n)%.o,$(FILES)))\n"
            "all: $(OBJECTS)\n"
            "$(OBJECTS): %.o:\n\tcc -O2 -Wall -c -o $@ $(lastword $(subst -, ,$*)).c\n")
    return ["make", "-B", "-j2", "-C", folder, f"TIMES={times}"]


# Name → the command for a count, a count to begin with, and whether the budget is for it.
PROGRAMS = {
    "C, a printf each 6 µs": (lambda bench, n: [bench.host, "report", n], 20000, True),
    "python3, logging": (python(PYTHON_ORDERS, "logged"), 20000, True),
    "python3, print": (python(PYTHON_ORDERS, "printed"), 20000, True),
    "python3, computes": (python(PYTHON_COMPUTES), 100, True),
    "perl, a report": (script("perl", "-e", PERL_REPORT), 20000, True),
    "bash, a script": (script("bash", "-c", BASH_SCRIPT), 20000, True),
    "bash, a loop of echo": (script("bash", "-c", BASH_LOOP), 20000, True),
    "make -j2, a C project": (compile_project, 1, True),
    "python3, a loop of print": (python(PRINT_LOOP), 100000, False),
}


def pairs(count, first, second):
    """(first, second) in turns, and which begins changes: neither always follows the other."""
    found = []
    for i in range(count):
        if i % 2:
            later, sooner = second(), first()
            found.append((sooner, later))
        else:
            found.append((first(), second()))
    return found


def spread(found):
    low, _, high = statistics.quantiles((after[0] / before[0] for before, after in found), n=4)
    return high - low


def settled_pairs(first, second):
    found = pairs(PAIRS, first, second)
    while spread(found) > SPREAD and len(found) < PAIRS_MAX:
        found += pairs(2, first, second)
    return found


def seconds(bench, command, env=None):
    """Wall time and processor time of a command."""
    before = os.times()
    bench.run(command, env)
    after = os.times()
    return (after.elapsed - before.elapsed,
            after.children_user + after.children_system
            - before.children_user - before.children_system)


def calibrated(first, time_of):
    """How many it takes for a run of 2 s."""
    while (took := time_of(first)) < LEAST_S / 8:
        first *= 4
    return max(first, int(first * LEAST_S / took + 0.999))


def lines_of(bench, command):
    with tempfile.TemporaryFile(dir=bench.folder) as output:
        subprocess.run([str(word) for word in command], env=bench.bare, check=True,
                       stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        output.seek(0)
        return sum(block.count(b"\n") for block in iter(lambda: output.read(1 << 20), b""))


def row(name, found, lines, has_budget=True):
    wall, cpu = (statistics.median(after[i] / before[i] for before, after in found) for i in (0, 1))
    bare = statistics.median(before[0] for before, _ in found)
    text = (f"{wall:.3f} ± {spread(found) / 2:.3f} of {bare:.2f} s "
            f"({len(found)} pairs, processor time {cpu:.3f}; {lines} lines")
    if lines >= 10000:
        each = statistics.median(after[1] - before[1] for before, after in found) / lines
        text += f", {each * 1e6:+.2f} µs each"
    if not has_budget:
        return without_budget(f"whole program: {name}", wall, text + ")")
    return at_most(f"whole program: {name}", wall, 1.03, text + ")", "≤ 1.03 of the bare time")


def whole_programs(bench):
    rows = []
    for name, (command_for, first, has_budget) in PROGRAMS.items():
        print(f"bench: … {name}", file=sys.stderr, flush=True)
        command = command_for(bench, calibrated(
            first, lambda n: seconds(bench, command_for(bench, n))[0]))
        env = bench.bare | {"LOGFOLD_RUN_DIR": bench.new_run_dir()}
        found = settled_pairs(lambda: seconds(bench, command),
                              lambda: seconds(bench, [*bench.under(), *command], env))
        rows.append(row(name, found, lines_of(bench, command), has_budget))
    return rows


# --- redis-server ------------------------------------------------------------------------------


class Server:
    """A redis-server on a port of its own; ends with the block."""

    def __init__(self, bench, under, env, level, output=subprocess.DEVNULL):
        self.folder = tempfile.mkdtemp(prefix="redis-", dir=bench.folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._command = [*under, "redis-server", "--port", self.port, "--bind", "127.0.0.1",
                         "--dir", self.folder, "--save", "", "--loglevel", level]
        self._env, self._output = env, output

    def __enter__(self):
        self._process = subprocess.Popen([str(word) for word in self._command], env=self._env,
                                         stdin=subprocess.DEVNULL, stdout=self._output,
                                         stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)
        self.__exit__()
        raise subprocess.SubprocessError(f"redis-server did not start on port {self.port}")

    def __exit__(self, *_):
        self._process.terminate()   # `logfold run` hands it on
        try:
            self._process.wait(timeout=START_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def processor_s(self):
        """Of the server itself, which is the child where `logfold run` stands before it."""
        pid = self._process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (*children, pid):
            name, _, fields = pathlib.Path(f"/proc/{one}/stat").read_text().rpartition(")")
            if name.endswith("(redis-server"):
                break
        fields = fields.split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# Level, what redis-benchmark is told, a count to begin with.
LOADS = {
    "redis-server, silent": ("notice", ["-c", 20, "-P", 8, "-t", "set"], 100000),
    "redis-server, a line each connection": ("verbose", ["-c", 20, "-k", 0, "-t", "ping_mbulk"], 5000),
}


def load_s(bench, server, options, count):
    before, start = server.processor_s(), time.monotonic()
    bench.run(["redis-benchmark", "-p", server.port, "-q", "-n", count, *options])
    return time.monotonic() - start, server.processor_s() - before


def printed_by(bench, level, options, count):
    with tempfile.TemporaryFile(dir=bench.folder) as output:
        with Server(bench, [], bench.bare, level, output) as server:
            load_s(bench, server, options, count)
        output.seek(0)
        return output.read().count(b"\n")


def redis(bench):
    rows = []
    for name, (level, options, first) in LOADS.items():
        env = bench.bare | {"LOGFOLD_RUN_DIR": bench.new_run_dir()}
        with Server(bench, [], bench.bare, level) as bare, \
                Server(bench, bench.under(), env, level) as hooked:
            count = calibrated(first, lambda n: load_s(bench, bare, options, n)[0])
            found = settled_pairs(lambda: load_s(bench, bare, options, count),
                                  lambda: load_s(bench, hooked, options, count))
        rows.append(row(name, found, printed_by(bench, level, options, count)))
    return rows
