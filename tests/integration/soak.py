"""The soak (`make soak`): programs print for SOAK_S seconds under the hook while rules change, programs
and the agent are killed, libraries come and go.  In the end every call has one outcome, and neither the
programs nor the agent have grown.

At most three hooked programs, one agent and one command run at a time.  Not a test_*.py: it takes ten
minutes, so only who names it runs it.
"""

import mmap
import os
import pathlib
import random
import struct
import subprocess
import time

from conftest import DEADLINE_S
from test_reuse import LIBRARY, gcc

SOAK_S = int(os.environ.get("SOAK_S", "600"))
KINDS = ("alpha", "beta", "gamma", "delta", "eta", "theta", "iota")
ROW = struct.Struct("QQ")
WARM_S = SOAK_S * 0.25    # until caches, heaps and the table of segments have their size
GROWTH_KB = 1024          # of resident memory after that: what the allocator and SQLite's cache move
OTHERS = 2                # programs that are killed and replaced, beside the one that lives on
RULES = (("mute",), ("unmute",), ("sample", "1/7"), ("limit", "5/100ms"), ("fold", "200ms"), ("pass",))


class Program:
    def __init__(self, agent, build, folder, number, library):
        self.path = folder / f"ledger-{number}"
        self.path.write_bytes(bytes(ROW.size * len(KINDS)))
        self.killed = False
        self.process = agent.start_host(build / "progs" / "soak", str(number), self.path, library,
                                        stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def kill(self):
        self.killed = True
        self.process.kill()
        self.process.wait(timeout=DEADLINE_S)
        self.process.stdin.close()

    def end(self):
        if not self.killed:
            self.process.stdin.close()
            assert self.process.wait(timeout=DEADLINE_S) == 0

    def rows(self):
        with open(self.path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as ledger:
            return [ROW.unpack_from(ledger, i * ROW.size) for i in range(len(KINDS))]


class Watch:
    """Resident memory and open files of a process, as they were after the warm-up and are now."""

    def __init__(self, what, pid):
        self.what, self.pid, self.first = what, pid, self.measure(pid)

    @staticmethod
    def measure(pid):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        memory = dict(line.split(":", 1) for line in status.splitlines())
        # Segments are shared memory: they may grow with new messages, by design.
        kb = sum(int(memory[name].split()[0]) for name in ("RssAnon", "RssFile"))
        return kb, len(os.listdir(f"/proc/{pid}/fd"))

    def check(self):
        kb, fds = self.measure(self.pid)
        print(f"{self.what}: {self.first[0]} kB after the warm-up, {kb} kB at the end; "
              f"{self.first[1]} and {fds} open files")
        assert kb <= self.first[0] + GROWTH_KB, f"{self.what} grows"
        assert fds <= self.first[1] + 2, f"{self.what} leaks files"


class Soak:
    def __init__(self, agent, build, folder):
        self.agent, self.build, self.folder = agent, build, folder
        self.random = random.Random(SOAK_S)
        self.library = folder / "iota.so"
        gcc(self.library, LIBRARY, "-DWHO=iota", '-DNAME="iota"')
        self.programs, self.commands, self.agent_kills = [], 0, 0
        self.others = [self.program() for _ in range(OTHERS)]
        self.steady = self.program()

    def program(self):
        self.programs.append(Program(self.agent, self.build, self.folder, len(self.programs),
                                     self.library))
        return self.programs[-1]

    def change_a_rule(self):
        verb, *policy = self.random.choice(RULES)
        done = self.agent.ask(verb, f"template~=^{self.random.choice(KINDS)}", *policy)
        assert done.returncode == 0 or "no " in done.stderr, done.stderr
        self.commands += 1

    def kill_a_program(self):
        which = self.random.randrange(OTHERS)
        self.others[which].kill()
        self.others[which] = self.program()

    def kill_the_agent(self):
        self.agent.kill()
        self.agent.start()
        self.agent_kills += 1

    def run(self, until):
        """Something happens about twice a second."""
        while time.monotonic() < until:
            self.random.choices((self.change_a_rule, self.kill_a_program), (12, 1))[0]()
            time.sleep(self.random.uniform(0.2, 0.8))

    def end(self):
        for program in self.programs:
            program.end()

    def balanced(self):
        """None, or what is out of balance: {kind: (done, counted, begun)}."""
        counted, outcomes = dict.fromkeys(KINDS, 0), {}
        for entry in self.agent.entries():
            how = {o: entry["count" + o] for o in ("Passed", "Muted", "Sampled", "Limited", "Folded")}
            assert entry["countTotal"] == sum(how.values()), entry
            counted[entry["messageTemplate"].split()[0]] += entry["countTotal"]
            for outcome, count in how.items():
                outcomes[outcome] = outcomes.get(outcome, 0) + count
        wrong = {}
        for i, kind in enumerate(KINDS):
            rows = [program.rows()[i] for program in self.programs]
            begun, done = (sum(column) for column in zip(*rows))
            if not done <= counted[kind] <= begun:
                wrong[kind] = done, counted[kind], begun
        self.outcomes = outcomes
        return wrong


def test_after_a_long_time_every_call_has_one_outcome_and_nothing_has_grown(agent, build, tmp_path,
                                                                            wait_for):
    one, started = agent(), time.monotonic()
    soak = Soak(one, build, tmp_path)
    # The agent is killed while it warms up; then it must live on, to be measured.
    for part in range(1, 5):
        soak.run(started + WARM_S * part / 4)
        if part < 4:
            soak.kill_the_agent()
    watches = [Watch("the agent", one.process.pid), Watch("a hooked program", soak.steady.process.pid)]
    soak.run(started + SOAK_S)
    for watch in watches:
        watch.check()
    soak.end()
    wait_for(lambda: not soak.balanced(), lambda: f"out of balance: {soak.balanced()}")
    assert one.stop() == 0
    assert min(soak.outcomes.values()) > 0, "each outcome occurred"
    print(f"{SOAK_S} s: {sum(soak.outcomes.values())} calls = {soak.outcomes}; {soak.commands} changes "
          f"of rules, {len(soak.programs) - 1 - OTHERS} programs and {soak.agent_kills} agents killed")
