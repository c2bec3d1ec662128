"""SIGKILL at any moment: of the program, of the agent, of a command that takes over.

The moments are seeded: something is killed when a chatter (tests/progs/chatter.c), which tells how
many of its calls have returned, has come to a random number.  LOGFOLD_SUITES=1 plays more rounds.
"""

import contextlib
import os
import pathlib
import random
import select
import signal
import struct
import subprocess
import sys
import threading
import time

import pytest

from conftest import DEADLINE_S

ROUNDS = 120 if os.environ.get("LOGFOLD_SUITES") == "1" else 20


class Chatter:
    """A chatter that runs: its pid, its progress, its end."""

    def __init__(self, pid, progress):
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self._progress = progress

    def progress(self):
        """How many of its calls have returned."""
        try:
            with open(self._progress, "rb") as file:
                return struct.unpack("Q", file.read(8))[0]
        except (FileNotFoundError, struct.error):
            return 0

    def reach(self, calls):
        """Waits until so many have returned, or until it has ended."""
        deadline = time.monotonic() + DEADLINE_S
        while self.progress() < calls and not self.has_ended(0):
            assert time.monotonic() < deadline, f"still at {self.progress()} of {calls} calls"

    def has_ended(self, timeout_s):
        return bool(select.select([self.pidfd], [], [], timeout_s)[0])

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def wait(self):
        assert self.has_ended(DEADLINE_S), f"it hangs at {self.progress()} calls"

    def close(self):
        os.close(self.pidfd)


def name_of(pid):
    """`logfold` has other children, too."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()


@pytest.fixture
def chatter(logfold, build, preload, tmp_path, wait_for):
    """chatter(HOW, [COUNT], agent=…): (the process to wait for, the Chatter).  `agent` runs it under
    `logfold run`; else it has the library alone, or with `hooked=False` not even that."""
    numbers, living = iter(range(10_000)), contextlib.ExitStack()

    def start(how, count=None, agent=True, hooked=True):
        progress = tmp_path / f"progress-{next(numbers)}"
        command = [build / "progs" / "chatter", how, progress, *([str(count)] if count else [])]
        if agent:
            job = logfold.start("run", "--summary", "none", "--", *command,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            children = pathlib.Path(f"/proc/{job.pid}/task/{job.pid}/children")
            pid = int(wait_for(lambda: [child for child in children.read_text().split()
                                        if name_of(child) == "chatter"],
                               "the command is started")[0])
        else:
            env = logfold.environment({"LD_PRELOAD": preload} if hooked else {})
            job = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   env=env)
            living.callback(job.wait, timeout=DEADLINE_S)
            living.callback(job.kill)
            pid = job.pid
        one = Chatter(pid, progress)
        living.callback(one.close)
        living.callback(lambda: one.has_ended(0) or one.kill())
        return job, one

    with living:
        yield start


def total(logfold):
    return sum(entry["countTotal"] for entry in logfold.entries())


def some_calls(chance):
    """From the very first ones to tens of thousands, each order of magnitude as likely."""
    return int(2 ** chance.uniform(0, 15))


class TestProgram:
    """The program is killed while it prints."""

    @pytest.mark.parametrize("how", ["format", "puts"])
    @pytest.mark.parametrize("agent", [True, False], ids=["under run", "preloaded"])
    def test_a_killed_program_has_counted_every_call_that_returned(self, logfold, chatter, how, agent):
        chance, before = random.Random(f"{how} {agent}"), 0
        for _ in range(ROUNDS if agent else ROUNDS // 2):
            job, host = chatter(how, agent=agent)
            host.reach(some_calls(chance))
            host.kill()
            assert job.wait(timeout=DEADLINE_S) == (128 + 9 if agent else -9)
            returned, after = host.progress(), total(logfold)
            assert after - before in (returned, returned + 1), "the call in flight may count"
            before = after
        assert len(logfold.entries()) == 1

    def test_a_killed_program_has_counted_every_line_and_the_one_that_it_had_begun(self, logfold,
                                                                                  chatter):
        """Two calls make a line.  The call that ends a line takes it out of the tail, then counts
        it: a program killed between these two instructions loses the line of the call in flight."""
        chance, before, lost = random.Random("halves"), 0, 0
        for _ in range(ROUNDS):
            job, host = chatter("halves")
            host.reach(some_calls(chance))
            host.kill()
            assert job.wait(timeout=DEADLINE_S) == 128 + 9
            returned, after = host.progress(), total(logfold)
            lines = after - before
            if returned % 2 and lines == returned // 2:
                lost += 1
            else:
                assert lines in ((returned + 1) // 2, (returned + 2) // 2)
            before = after
        assert lost <= ROUNDS // 20, "as rare as two instructions among hundreds"

    def test_a_killed_child_has_counted_what_it_printed_and_its_parent_goes_on(self, logfold, tmp_path):
        script = """if True:
            import mmap, os, signal, struct, sys
            calls = mmap.mmap(-1, 8)
            for limit in map(int, sys.argv[1:]):
                child = os.fork()
                while not child:
                    os.write(1, b'the child prints\\n')
                    calls[:] = struct.pack('Q', struct.unpack('Q', calls[:])[0] + 1)
                while struct.unpack('Q', calls[:])[0] < limit:
                    pass
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                os.write(1, b'the parent prints\\n')
            os.write(2, b'the children returned from %d\\n' % struct.unpack('Q', calls[:])[0])
            """
        limits = [1, 2, 100, 1000, 3000]
        done = logfold("run", "--summary", "none", "--", sys.executable, "-c", script,
                       *map(str, limits), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert done.returncode == 0, done.stderr
        returned = int(done.stderr.split()[-1])
        counted = {entry["messageTemplate"]: entry["countTotal"] for entry in logfold.entries()}
        assert counted["the parent prints"] == len(limits)
        assert returned <= counted["the child prints"] <= returned + len(limits)


@pytest.fixture
def listing(logfold):
    """listing(): a context in which `logfold ls` runs over and over, and so makes agents drain."""
    @contextlib.contextmanager
    def forever():
        over, failures = threading.Event(), []

        def loop():
            while not over.is_set():
                listed = logfold("ls")
                if listed.returncode != 0:
                    failures.append(listed.stderr)

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(DEADLINE_S)
        assert failures == []

    return forever


class TestAgent:
    """The agent is killed; the program lives on, and the next agent takes over."""

    COUNT = 2_000_000

    def test_a_killed_agent_costs_no_call_and_none_is_counted_twice(self, logfold, chatter, listing):
        chance, in_time = random.Random("agent"), 0
        for played in range(ROUNDS):
            agent, host = chatter("format", self.COUNT)
            with listing() if played % 4 else contextlib.nullcontext():
                host.reach(chance.randrange(self.COUNT))
                lives = not host.has_ended(0)
                agent.kill()
                # Once the program has ended, `run` may, too, before it is killed.
                status = agent.wait(timeout=DEADLINE_S)
                assert status in (-9, 0)
                in_time += lives and status == -9
                host.wait()
            assert host.progress() == self.COUNT, "the program printed to its end"
            assert total(logfold) == (played + 1) * self.COUNT
        assert in_time > ROUNDS // 2, "the program was in the middle of its printing"
        assert len(logfold.entries()) == 1
        assert [path.name for path in logfold.run_dir.glob("run-*")] == []

    def test_program_and_agent_killed_together_lose_at_most_the_call_in_flight(self, logfold, chatter):
        chance, before = random.Random("both"), 0
        for _ in range(ROUNDS // 2):
            agent, host = chatter("format")
            host.reach(some_calls(chance))
            os.killpg(agent.pid, signal.SIGKILL)
            host.kill()
            host.wait()
            agent.wait(timeout=DEADLINE_S)  # until then it may hold the directory's lock
            returned, after = host.progress(), total(logfold)
            assert after - before in (returned, returned + 1)
            before = after

    def test_a_run_takes_over_what_killed_agents_left(self, logfold, chatter):
        for _ in range(3):
            agent, host = chatter("format", self.COUNT)
            host.reach(1)
            agent.kill()
            agent.wait(timeout=DEADLINE_S)
            host.wait()
        done = logfold("run", "--summary", "json", "--", "echo", "hi")
        assert done.stderr.count("\n") == 1, f"the summary is of this run alone: {done.stderr}"
        assert total(logfold) == 3 * self.COUNT + 1


class Listings:
    """Starts `logfold ls`, again and again, and kills it at random within so many calls of the clock.  The machine
    decides how far a listing comes meanwhile: three in four are to be killed before they have done it."""

    def __init__(self, logfold, clock, chance, calls):
        self.logfold, self.clock, self.chance, self.calls = logfold, clock, chance, calls
        self.killed = 0

    def kill_one(self):
        listing = self.logfold.start("ls", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.clock.reach(self.clock.progress() + self.chance.randrange(max(int(self.calls), 1)))
        listing.kill()
        in_time = listing.wait(timeout=DEADLINE_S) == -9
        self.killed += in_time
        self.calls *= 1.2 if in_time else .6


class TestTakingOver:
    """A command that drains, and is killed in the middle of it."""

    def test_a_killed_ls_loses_nothing_of_the_dead_and_counts_nothing_twice(self, logfold, chatter):
        _, clock = chatter("format", agent=False, hooked=False)
        listings, expected = Listings(logfold, clock, random.Random("dead"), 250_000), 0
        for played in range(ROUNDS):
            how, count, counted = (("format", 1000, 1000), ("puts", 501, 501),
                                   ("halves", 333, 167))[played % 3]
            job, _ = chatter(how, count, agent=False)
            assert job.wait(timeout=DEADLINE_S) == 0
            expected += counted
            while any(logfold.run_dir.glob("segments/*.seg")):
                listings.kill_one()
            assert total(logfold) == expected
        assert listings.killed > ROUNDS // 2, "most were killed before they had done it"

    def test_a_killed_ls_loses_nothing_of_a_living_program_and_counts_nothing_twice(self, logfold,
                                                                                   chatter):
        job, host = chatter("format", agent=False)
        listings = Listings(logfold, host, random.Random("living"), 120_000)
        for _ in range(ROUNDS):
            listings.kill_one()
        assert listings.killed > 0
        host.kill()
        assert job.wait(timeout=DEADLINE_S) == -9
        returned = host.progress()
        assert total(logfold) in (returned, returned + 1)

    def test_a_killed_mute_leaves_flags_that_the_next_one_sets_right(self, logfold, chatter):
        chance = random.Random("mute")
        _, clock = chatter("format", agent=False, hooked=False)
        job, host = chatter("format", agent=False)
        host.reach(1)
        assert total(logfold) > 0
        for _ in range(ROUNDS):
            for verb in ("mute", "unmute"):
                muting = logfold.start(verb, "method=printf", stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
                clock.reach(clock.progress() + chance.randrange(120_000))
                muting.kill()
                muting.wait(timeout=DEADLINE_S)
        assert logfold("mute", "method=printf").returncode == 0
        host.reach(host.progress() + 2)
        passed = logfold.entries()[0]["countPassed"]
        host.reach(host.progress() + 1000)
        host.kill()
        job.wait(timeout=DEADLINE_S)
        returned, entry = host.progress(), logfold.entries()[0]
        assert entry["countPassed"] == passed
        assert entry["countMuted"] >= 1000
        assert entry["countTotal"] in (returned, returned + 1)
