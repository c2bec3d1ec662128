"""`logfold mute` on programs that run: nothing more is printed, everything is still counted.

A chatter in mode `slow` (tests/progs/chatter.c) prints one line for each byte that it reads, so a
test knows which call begins before, and which after, the command has returned.
"""

import json
import os
import re
import struct
import subprocess
import sys
import time

import pytest

from conftest import DEADLINE_S

CHATTER = "template~=^chatter number"


def run(logfold, *command, **how):
    return logfold("run", "--summary", "none", "--", *map(str, command), text=False, **how)


def command(logfold, *arguments, **how):
    done = logfold(*arguments, **how)
    assert done.returncode == 0, done.stderr
    return done


def the_entry(logfold, template):
    found = [e for e in logfold.entries() if e["messageTemplate"].startswith(template)]
    assert len(found) == 1, found
    return found[0]


def counts(entry):
    assert entry["countTotal"] == sum(entry["count" + how] for how in
                                      ("Passed", "Muted", "Sampled", "Limited", "Folded"))
    return entry["countPassed"], entry["countMuted"]


class Slow:
    """A chatter that prints a line whenever it is told to."""

    def __init__(self, job, output, progress, wait_for):
        self.job, self.output, self._progress, self._wait_for = job, output, progress, wait_for
        self.told = 0

    def progress(self):
        try:
            return struct.unpack("Q", self._progress.read_bytes())[0]
        except (FileNotFoundError, struct.error):
            return 0

    def print(self, times=1):
        """Has it make so many calls; returns when they have returned."""
        self.told += times
        self.job.stdin.write(b"." * times)
        self.job.stdin.flush()
        self._wait_for(lambda: self.progress() >= self.told, f"{self.told} calls returned")

    def printed(self):
        return [int(line.split()[-1]) for line in self.output.read_text().splitlines()]

    def end(self):
        self.job.stdin.close()
        return self.job.wait(timeout=DEADLINE_S)


@pytest.fixture
def slow(logfold, build, preload, tmp_path, wait_for):
    """slow(): a Slow under `logfold run`; slow(agent=False): with the library alone."""
    started = []

    def start(agent=True, how="slow", arguments=()):
        number = len(started)
        output, progress = tmp_path / f"output-{number}", tmp_path / f"progress-{number}"
        chatter = [build / "progs" / "chatter", how, progress]
        with open(output, "wb") as out, open(tmp_path / f"errors-{number}", "wb") as err:
            if agent:
                job = logfold.start("run", "--summary", "none", *arguments, "--", *chatter,
                                    stdin=subprocess.PIPE, stdout=out, stderr=err)
            else:
                job = subprocess.Popen(chatter, stdin=subprocess.PIPE, stdout=out, stderr=err,
                                       env=logfold.environment({"LD_PRELOAD": preload}))
        started.append(job)
        return Slow(job, output, progress, wait_for)

    yield start
    for job in started:
        job.kill()
        job.wait(timeout=DEADLINE_S)
        if not job.stdin.closed:
            job.stdin.close()


@pytest.fixture(params=[True, False], ids=["under run", "without an agent"])
def chatter(request, slow):
    return slow(agent=request.param)


class TestMute:
    def test_no_call_that_begins_after_mute_has_returned_prints(self, chatter, logfold):
        chatter.print(10)
        command(logfold, "mute", CHATTER)
        chatter.print(20)
        assert chatter.printed() == list(range(10))
        assert chatter.end() == 0
        assert counts(the_entry(logfold, "chatter")) == (10, 20)

    def test_unmute_brings_it_back_with_the_very_next_call(self, chatter, logfold):
        chatter.print(3)
        for _ in range(4):
            command(logfold, "mute", CHATTER)
            chatter.print(5)
            command(logfold, "unmute", CHATTER)
            chatter.print(5)
        expected = [*range(3), *(i for start in range(8, 48, 10) for i in range(start, start + 5))]
        assert chatter.printed() == expected
        assert chatter.end() == 0
        assert counts(the_entry(logfold, "chatter")) == (23, 20)

    def test_a_constant_is_muted_and_heard_again_with_the_very_next_call(self, slow, logfold):
        """Whose muted calls go a shorter way than any other."""
        chatter, expected = slow(how="constant"), 3
        chatter.print(3)
        for _ in range(4):
            command(logfold, "mute", "template~=^chatter says")
            chatter.print(5)
            assert chatter.output.read_text().count("\n") == expected
            command(logfold, "unmute", "template~=^chatter says")
            chatter.print(5)
            expected += 5
            assert chatter.output.read_text().count("\n") == expected
        assert chatter.end() == 0
        assert counts(the_entry(logfold, "chatter")) == (23, 20)

    def test_flags_that_are_published_anew_let_no_muted_call_through_meanwhile(self, slow, logfold,
                                                                              wait_for):
        """A mute that changes nothing publishes all the same, and so does each ls that takes over:
        a chatter that never rests would be heard while the table is being rewritten."""
        chatter = slow(agent=False, how="format")
        wait_for(chatter.progress, "it prints")
        command(logfold, "mute", CHATTER)
        begun = chatter.progress()
        wait_for(lambda: chatter.progress() > begun + 2, "the call in flight is over")
        passed, _ = counts(the_entry(logfold, "chatter"))
        for _ in range(20):
            command(logfold, "mute", CHATTER)
            command(logfold, "ls")
        chatter.job.kill()
        chatter.job.wait(timeout=DEADLINE_S)
        entry = the_entry(logfold, "chatter")
        assert counts(entry)[0] == passed
        assert entry["countTotal"] - chatter.progress() in (0, 1)

    def test_a_program_that_starts_later_is_muted_from_its_first_line(self, slow, logfold):
        first = slow()
        first.print(1)
        command(logfold, "mute", CHATTER)
        for agent in (True, False):
            later = slow(agent=agent)
            later.print(4)
            assert later.printed() == []
            assert later.end() == 0
        assert first.end() == 0
        assert counts(the_entry(logfold, "chatter")) == (1, 8)

    def test_one_mute_reaches_every_program_of_the_store_at_once(self, slow, logfold):
        chatters = [slow(), slow(), slow(agent=False)]
        for one in chatters:
            one.print(2)
        command(logfold, "mute", CHATTER)
        for one in chatters:
            one.print(3)
            assert one.printed() == [0, 1]
        assert [one.end() for one in chatters] == [0, 0, 0]
        assert counts(the_entry(logfold, "chatter")) == (6, 9)

    def test_runs_of_another_store_are_left_alone(self, slow, logfold, tmp_path):
        ours = slow()
        theirs = slow(arguments=("--store", str(tmp_path / "other.db")))
        for one in (ours, theirs):
            one.print(1)
        command(logfold, "mute", CHATTER)
        for one in (ours, theirs):
            one.print(1)
        assert (ours.printed(), theirs.printed()) == ([0], [0, 1])
        assert theirs.end() == ours.end() == 0

    def test_mute_says_what_it_muted_and_a_second_time_that_nothing_changed(self, slow, logfold):
        chatter = slow()
        chatter.print(1)
        first = command(logfold, "mute", CHATTER)
        assert re.fullmatch(r"muted [0-9a-f]+…  printf  chatter number %ld\\n\n", first.stdout)
        again = command(logfold, "mute", CHATTER)
        assert again.stdout == ""
        assert "muted already" in again.stderr
        shown = json.loads(command(logfold, "unmute", "--json", CHATTER).stdout)
        assert shown["enabled"] is True
        assert chatter.end() == 0


class TestLines:
    """Lines of text among others: only the muted one goes, what is around it stays."""

    def muted(self, logfold, template, *program, **how):
        before = run(logfold, *program, **how)
        command(logfold, "mute", f"template~={template}")
        after = run(logfold, *program, **how)
        assert after.returncode == before.returncode
        return before, after

    @staticmethod
    def without(text, word):
        return b"".join(line for line in text.splitlines(True) if word not in line)

    @pytest.mark.parametrize("program", [
        ("bash", "-c", 'for i in 1 2 3; do echo "start $i"; echo "noise $i here"; echo end; done; exit 3'),
        ("bash", "-c", "cat <<E\none\nnoise 1 here\nthree\nE\necho 'noise 2 here'; echo five"),
        (sys.executable, "-c", "for i in range(150): print('start'); print(f'noise {i} here')"),
        (sys.executable, "-u", "-c", "for i in range(150): print(f'start {i}\\nnoise {i} here\\nend')"),
        ("perl", "-e", r'for (1..50) { print "start $_\n"; print "noise $_ here\n" } die "dead"'),
        ("mawk", 'BEGIN { for (i = 0; i < 99; i++) { print "start " i; print "noise " i " here" } }'),
        ("dash", "-c", "echo start; echo noise 1 here; echo noise 2 here; echo end; exit 4"),
        ("sed", "-n", "p"),
    ], ids=["bash", "here-document", "python3", "python3 unbuffered", "perl", "mawk", "dash", "sed"])
    def test_a_muted_line_goes_from_among_the_others(self, logfold, program):
        before, after = self.muted(logfold, r"^noise <\*> here$", *program,
                                   input=b"start 1\nnoise 2 here\nend 3\n")
        assert b"noise" in before.stdout
        assert after.stdout == self.without(before.stdout, b"noise")
        assert after.stderr.startswith(before.stderr)
        told = self.without(after.stderr, b"logfold: ")
        assert told == before.stderr

    def test_a_muted_line_that_a_buffer_cuts_in_two_is_printed_whole(self, logfold):
        """What has begun to be printed is printed to its end: one line for each flush at most."""
        script = "for i in range(5000): print(f'start {i}'); print(f'noise {i} here')"
        before, after = self.muted(logfold, r"^noise <\*> here$", sys.executable, "-c", script)
        left = [line for line in after.stdout.splitlines(True) if line.startswith(b"noise")]
        assert self.without(after.stdout, b"noise") == self.without(before.stdout, b"noise")
        assert set(left) < set(before.stdout.splitlines(True)), "each is whole"
        assert len(left) <= len(before.stdout) / 8192
        passed, muted = counts(the_entry(logfold, "noise"))
        assert (passed, muted) == (5000 + len(left), 5000 - len(left))

    def test_a_line_of_stderr_is_muted_on_its_own(self, logfold):
        script = "import sys\nfor i in range(9): print('same text'); print('same text', file=sys.stderr)"
        run(logfold, sys.executable, "-c", script)
        command(logfold, "mute", "method=write.2")
        after = run(logfold, sys.executable, "-c", script)
        assert after.stdout == b"same text\n" * 9
        assert self.without(after.stderr, b"logfold: ") == b""

    def test_a_line_that_is_begun_and_muted_later_is_printed_to_its_end(self, logfold):
        program = ("bash", "-c", "printf 'begun '; printf 'and ended\\n'; echo next")
        before, after = self.muted(logfold, "^begun and ended$", *program)
        assert after.stdout == before.stdout

    def test_the_status_of_a_program_is_its_own_whatever_is_muted(self, logfold):
        for script, status in (("echo x; exit 9", 9), ("echo x; kill -TERM $$", 128 + 15)):
            before, after = self.muted(logfold, "^x$", "bash", "-c", script)
            assert (before.returncode, after.returncode) == (status, status)
            assert after.stdout == b""
            command(logfold, "unmute", "template~=^x$")


class TestAnnouncement:
    """Whatever is suppressed is told."""

    def test_the_end_of_a_run_tells_how_many_calls_of_how_many_messages_were_muted(self, logfold):
        script = "for i in 1 2 3; do echo 'first noise'; echo 'other noise'; echo kept; done"
        run(logfold, "bash", "-c", script)
        command(logfold, "mute", "template~=noise")
        for summary in ("none", "table", "json"):
            done = logfold("run", "--summary", summary, "--", "bash", "-c", script)
            assert done.stdout == "kept\n" * 3
            assert done.stderr.count("logfold: 6 calls were muted in 2 messages\n") == 1

    def test_a_run_that_muted_nothing_tells_nothing(self, logfold):
        run(logfold, "bash", "-c", "echo noise; echo kept")
        command(logfold, "mute", "template~=noise")
        done = run(logfold, "bash", "-c", "echo kept")
        assert (done.stdout, done.stderr) == (b"kept\n", b"")

    def test_the_store_says_what_is_muted_by_whom_and_how_often(self, logfold):
        run(logfold, "bash", "-c", "echo noise; echo kept")
        assert the_entry(logfold, "noise")["flagsVersion"] == 0
        command(logfold, "mute", "template~=noise")
        run(logfold, "bash", "-c", "echo noise; echo noise")
        entry = the_entry(logfold, "noise")
        assert (entry["enabled"], entry["flagsVersion"]) == (False, 1)
        assert entry["flagsWriter"].startswith(os.uname().nodename[:40])
        assert counts(entry) == (1, 2)
        assert the_entry(logfold, "kept")["enabled"] is True


class TestSpeed:
    def test_a_mute_is_obeyed_within_a_tenth_of_a_second(self, slow, logfold):
        """On the same host, as the design promises: from the command's start to its return; the best of
        some, as others work on this machine and its disk, too."""
        chatter, best, tries = slow(), DEADLINE_S, 0
        chatter.print(1)
        while best >= 0.1 and tries < 40 or tries < 5:
            tries += 1
            started = time.monotonic()
            command(logfold, "mute", CHATTER)
            best = min(best, time.monotonic() - started)
            told = len(chatter.printed())
            chatter.print(1)
            assert len(chatter.printed()) == told
            command(logfold, "unmute", CHATTER)
        assert best < 0.1
        assert chatter.end() == 0
