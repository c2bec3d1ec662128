"""Full disks, hostile files, damaged stores, wrong places: the host runs on as if we were absent, a
sentence names the thing and the remedy, and whatever else waits is counted exactly.
"""

import contextlib
import errno
import os
import pathlib
import re
import resource
import secrets
import shutil
import socket
import string
import struct
import subprocess
import sys
import time

import pytest

from conftest import DEADLINE_S
from test_mute import slow  # noqa: F401  a fixture: a chatter that prints when it is told to

HOST = ("bash", "-c", "echo one; echo two >&2; exit 3")
SAYS = (b"one\n", b"two\n", 3)


def total(logfold, *arguments):
    return sum(entry["countTotal"] for entry in logfold.entries(*arguments))


def templates(logfold):
    return {entry["messageTemplate"]: entry["countTotal"] for entry in logfold.entries()}


def others_than_ours(stderr):
    return b"".join(line for line in stderr.splitlines(True) if not line.startswith(b"logfold: "))


def run(logfold, *command, arguments=(), **how):
    """Under `logfold run`: (stdout, the program's stderr, status), and what logfold said."""
    done = logfold("run", "--summary", "none", *arguments, "--", *map(str, command), text=False, **how)
    said = "".join(line.decode() for line in done.stderr.splitlines(True)
                   if line.startswith(b"logfold: "))
    return (done.stdout, others_than_ours(done.stderr), done.returncode), said


def preloaded(logfold, preload, *command, env=None, **how):
    how = {"stdin": subprocess.DEVNULL, "capture_output": True, "timeout": DEADLINE_S, **how}
    done = subprocess.run([str(word) for word in command],
                          env=logfold.environment({"LD_PRELOAD": preload} | (env or {})), **how)
    return done.stdout, done.stderr, done.returncode


class Disk:
    """A tmpfs of a few kilobytes in a mount namespace of its own: whoever shall see it is started by
    `enter`; we see it below `root`.  It goes with the process that holds the namespace."""

    def __init__(self, place, size):
        place.mkdir()
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        script = 'mount -t tmpfs -o "mode=700,size=$2" tmpfs "$1" && echo mounted && exec cat'
        self.holder = subprocess.Popen(
            ["unshare", *user, "--mount", "--propagation", "private", "--", "sh", "-c", script, "sh",
             place, size], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if self.holder.stdout.readline() != b"mounted\n":
            self.holder.stdin.close()
            pytest.fail("no tmpfs can be mounted in a namespace of our own, which these tests need "
                        "(run them as root, or allow user namespaces): "
                        f"{self.holder.stderr.read().decode()}")
        credentials = ["--user", "--preserve-credentials"] if user else []
        self.enter = ["nsenter", f"--target={self.holder.pid}", *credentials, "--mount", "--"]
        self.place = place
        self.root = pathlib.Path(f"/proc/{self.holder.pid}/root{place}")

    def fill(self, leave=0):
        """Takes all but so many bytes, also while somebody else is writing there."""
        end = time.monotonic() + DEADLINE_S
        with open(self.root / "ballast", "wb", buffering=0) as ballast:
            while (more := self.free() - leave) > 0:
                try:
                    ballast.write(bytes(more))
                except OSError as gone:  # the other one took it after we had asked
                    if gone.errno != errno.ENOSPC or time.monotonic() > end:
                        raise

    def free(self):
        now = os.statvfs(self.root)
        return now.f_bavail * now.f_bsize

    def relieve(self):
        (self.root / "ballast").unlink()

    def make_read_only(self):
        subprocess.run([*self.enter, "mount", "-o", "remount,ro", self.place], check=True,
                       timeout=DEADLINE_S)

    def end(self):
        self.holder.stdin.close()
        self.holder.wait(timeout=DEADLINE_S)
        self.holder.stdout.close()
        self.holder.stderr.close()


@pytest.fixture
def disk(tmp_path):
    made = []

    def make(name, size):
        made.append(Disk(tmp_path / name, size))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.fixture
def inside(logfold, disk):
    """inside(size): the run directory is on such a disk, and `logfold` and hosts run there."""
    def make(size):
        one = disk("small", size)
        logfold.run_dir, logfold.env["LOGFOLD_RUN_DIR"] = one.root, str(one.place)
        enter = pathlib.Path(logfold.folder / "inside")
        words = " ".join(f"'{word}'" for word in [*one.enter, logfold.binary])
        enter.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        enter.chmod(0o755)
        logfold.binary = enter
        return one
    return make


def words(count):
    """So many different words that masking leaves alone."""
    letters = string.ascii_lowercase[6:]
    return [letters[i // 8000 % 20] + letters[i // 400 % 20] + letters[i // 20 % 20] + letters[i % 20]
            for i in range(count)]


# Prints a line for each word that it reads, and "done" after each line of them.
SPEAKER = (sys.executable, "-c", "import sys\nfor line in sys.stdin:\n"
           " for word in line.split(): print('a line with the word', word)\n"
           " print('done', file=sys.stderr, flush=True)")


class TestFullDisk:
    def test_a_full_run_directory_is_told_and_the_program_runs_as_bare(self, logfold, inside, preload):
        small = inside("64k")
        small.fill()
        outcome, said = run(logfold, *HOST)
        assert outcome == SAYS
        assert "no space" in said.lower() and str(small.place) in said
        assert preloaded(logfold, preload, *small.enter, *HOST) == SAYS
        small.relieve()
        logfold("ls")
        outcome, said = run(logfold, *HOST)
        assert outcome == SAYS
        assert total(logfold) == 2, "as soon as there is room it is counted"

    @pytest.mark.parametrize("size", ["4k", "40k", "140k", "240k"])
    def test_a_disk_that_is_too_small_for_a_part_of_it_hurts_no_program(self, logfold, inside, preload,
                                                                       size):
        small = inside(size)
        for _ in range(2):
            outcome, _ = run(logfold, *HOST)
            assert outcome == SAYS
            assert preloaded(logfold, preload, *small.enter, *HOST) == SAYS
        listed = logfold("ls")
        assert "AddressSanitizer" not in listed.stderr
        if size == "240k":
            assert total(logfold) == 8

    def test_a_map_that_cannot_grow_any_more_counts_the_rest_as_overflow(self, logfold, inside):
        inside("260k")
        outcome, said = run(logfold, *SPEAKER, input=" ".join(words(3000)).encode())
        assert (outcome[0].count(b"\n"), *outcome[1:]) == (3000, b"done\n", 0)
        entries = logfold.entries()
        overflow = [entry for entry in entries if entry["method"] == "overflow"]
        assert len(overflow) == 1 and 0 < overflow[0]["countTotal"] < 3000
        assert sum(entry["countTotal"] for entry in entries) == 3001
        assert len(entries) - 1 + overflow[0]["countTotal"] == 3001

    def test_a_file_system_that_fills_up_in_mid_run_costs_no_count(self, logfold, inside, wait_for):
        small = inside("400k")
        job = logfold.start("run", "--summary", "none", "--", *SPEAKER, stdin=subprocess.PIPE,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        seen = words(2000)
        for part in (seen[:300], seen[300:], seen):
            job.stdin.write(" ".join(part) + "\n")
            job.stdin.flush()
            assert job.stderr.readline() == "done\n"
            if part == seen[:300]:
                small.fill(leave=40_000)
        job.stdin.close()
        assert job.wait(timeout=DEADLINE_S) == 0
        small.relieve()
        entries = {(e["method"], e["messageTemplate"]): e["countTotal"] for e in logfold.entries()}
        assert sum(entries.values()) == 4000 + 3
        assert entries[("overflow", "messages that the map had no room for")] > 0
        known = [e for (_, template), e in entries.items() if template in
                 {f"a line with the word {word}" for word in seen[:300]}]
        assert known == [2] * 300, "what the map knew it goes on counting"

    def test_a_full_disk_under_the_store_keeps_the_counts_until_there_is_room(self, logfold, disk,
                                                                             inside):
        state = inside("400k")
        store = str(state.place / "entries.db")
        assert run(logfold, *HOST, arguments=("--store", store))[0] == SAYS
        state.fill(leave=36_000)
        # A run directory elsewhere: only the store's disk is full.
        elsewhere = logfold.folder / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        logfold.env["LOGFOLD_RUN_DIR"] = str(elsewhere)
        outcome, said = run(logfold, *SPEAKER, input=" ".join(words(400)).encode(),
                            arguments=("--store", store))
        assert (outcome[0].count(b"\n"), *outcome[1:]) == (400, b"done\n", 0)
        assert store in said and "full" in said
        state.relieve()
        assert total(logfold, "--store", store) == 403


class TestTooMany:
    def test_messages_beyond_the_maximum_are_counted_together(self, logfold):
        outcome, said = run(logfold, *SPEAKER, input=" ".join(words(20_000)).encode())
        assert (outcome[0].count(b"\n"), *outcome[1:], said) == (20_000, b"done\n", 0, "")
        entries = logfold.entries()
        overflow = [entry for entry in entries if entry["method"] == "overflow"]
        assert len(entries) == 16384 + 1
        assert [entry["countTotal"] for entry in overflow] == [20_001 - 16384]
        assert sum(entry["countTotal"] for entry in entries) == 20_001

    @pytest.mark.parametrize("limit, value", [("f", 0), ("f", 1), ("f", 63), ("n", 3), ("v", 30_000),
                                              ("l", 0), ("s", 256)])
    def test_limits_that_a_program_sets_itself_change_nothing_for_it(self, hooked, limit, value):
        """Beyond `ulimit -f` the kernel sends a signal to whoever reserves room in a file."""
        bare, under = hooked("bash", "-c", f"ulimit -{limit} {value}; echo one; echo two >&2; exit 3")
        assert under == bare
        assert under.stdout == SAYS[0]

    @pytest.mark.parametrize("limit", [0, 1024, 100_000])
    def test_a_limit_on_file_sizes_around_the_agent_does_not_keep_the_command_from_running(
            self, logfold, limit):
        outcome, said = run(logfold, *HOST, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (limit, limit)))
        assert outcome == SAYS
        assert "logfold: " in said


class TestRunDirectory:
    """Wherever LOGFOLD_RUN_DIR points: the program runs, and a sentence says what is wrong."""

    def check(self, logfold, preload, path, names, enter=()):
        logfold.env["LOGFOLD_RUN_DIR"] = str(path)
        outcome, said = run(logfold, *HOST)
        assert outcome == SAYS
        assert said.count("\n") == 1 and "runs uncounted" in said
        for name in names:
            assert name in said
        assert preloaded(logfold, preload, *enter, *HOST) == SAYS, "silently, as nobody asked for us"

    def test_a_missing_one_is_made(self, logfold):
        shutil.rmtree(logfold.run_dir)
        assert run(logfold, *HOST) == (SAYS, "")
        assert total(logfold) == 2

    def test_one_that_cannot_be_made_is_told(self, logfold, preload, tmp_path):
        path = tmp_path / "not" / "there"
        self.check(logfold, preload, path, [str(path), "No such file"])

    def test_a_file_in_its_place_is_told(self, logfold, preload, tmp_path):
        path = tmp_path / "file"
        path.write_text("")
        self.check(logfold, preload, path, [str(path), "not a directory", "LOGFOLD_RUN_DIR"])

    def test_one_of_another_user_is_told(self, logfold, preload, tmp_path):
        path = tmp_path / "foreign"
        path.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
        else:
            path = pathlib.Path("/usr")
        self.check(logfold, preload, path, [str(path), "another user", "LOGFOLD_RUN_DIR"])

    def test_one_that_others_can_write_is_told(self, logfold, preload, tmp_path):
        path = tmp_path / "open"
        path.mkdir()
        path.chmod(0o777)
        self.check(logfold, preload, path, [str(path), "chmod go-w"])

    def test_one_that_cannot_be_written_is_told(self, logfold, preload, inside):
        small = inside("400k")
        small.make_read_only()
        self.check(logfold, preload, small.place, [str(small.place), "Read-only"], enter=small.enter)

    def test_a_symbolic_link_in_place_of_the_segments_is_not_followed(self, logfold, preload, tmp_path):
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        (logfold.run_dir / "segments").symlink_to(elsewhere)
        logfold("ls")
        assert run(logfold, *HOST)[0] == SAYS
        assert preloaded(logfold, preload, *HOST) == SAYS
        logfold("ls")
        assert list(elsewhere.iterdir()) == []


class TestStore:
    """A store that cannot be used: the counts wait, and are there when it can be used again."""

    def spoil(self, logfold, tmp_path, how):
        """Makes it unusable; how to make it usable again."""
        if how == "a directory":
            logfold.store.unlink()
            logfold.store.mkdir(parents=True)
            return logfold.store.rmdir, 0
        if how == "below a file":
            folder = logfold.store.parent
            folder.rename(tmp_path / "aside")
            folder.write_text("")
            return lambda: (folder.unlink(), (tmp_path / "aside").rename(folder)), 2
        data = logfold.store.read_bytes()
        damaged = {"random bytes": secrets.token_bytes(20_000),
                   "truncated": data[:5000],
                   "cut to its header": data[:100],
                   "random pages": data[:4096] + secrets.token_bytes(len(data) - 4096)}[how]
        logfold.store.write_bytes(damaged)
        return lambda: logfold.store.write_bytes(data), 2

    @pytest.mark.parametrize("how", ["a directory", "below a file", "random bytes", "truncated",
                                     "cut to its header", "random pages"])
    def test_an_unusable_store_is_named_and_the_counts_wait_for_a_good_one(self, logfold, tmp_path, how):
        assert run(logfold, *HOST) == (SAYS, "")
        repair, there = self.spoil(logfold, tmp_path, how)
        for _ in range(2):
            outcome, said = run(logfold, *HOST)
            assert outcome == SAYS
            assert str(logfold.store) in said
            assert re.search(r"its counts wait in \S+/run-[0-9a-f]{16}\n", said)
        listed = logfold("ls")
        assert listed.returncode != 0 and str(logfold.store) in listed.stderr
        repair()
        assert total(logfold) == there + 4

    def test_a_damaged_store_that_is_moved_away_is_made_anew(self, logfold):
        run(logfold, *HOST)
        logfold.store.write_bytes(secrets.token_bytes(20_000))
        _, said = run(logfold, *HOST)
        assert "move it away and a new one is made" in said
        logfold.store.rename(logfold.store.with_suffix(".damaged"))
        assert run(logfold, *HOST) == (SAYS, "")
        assert total(logfold) == 4, "what waited, and the last run"

    def test_a_store_that_cannot_be_written_is_named_with_its_remedy(self, logfold, inside):
        state = inside("600k")
        store = str(state.place / "entries.db")
        elsewhere = logfold.folder / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        logfold.env["LOGFOLD_RUN_DIR"] = str(elsewhere)
        assert run(logfold, *HOST, arguments=("--store", store)) == (SAYS, "")
        state.make_read_only()
        outcome, said = run(logfold, *HOST, arguments=("--store", store))
        assert outcome == SAYS
        assert store in said and "--store" in said and "its counts wait in" in said
        assert total(logfold, "--store", store) == 2, "it can still be read"


# Where what is spoilt stands in a segment: agent/map/layout.h.
LAYOUT_AT, CHUNKS_AT = 24, 32
COUNTS_AT = 512                # of the first slot
REFERENCES_AT = COUNTS_AT + 64
PRINTED = 10                   # by the owner of the file


def put(data, at, value):
    return data[:at] + value + data[at + len(value):]


def with_count(data, count):
    return put(data, COUNTS_AT, struct.pack("Q", count))


# What lies there under a segment's name, how it is made out of a good one, and what is said of it.
FILES = {
    "random bytes": (lambda path, data: path.write_bytes(secrets.token_bytes(32768)),
                     "does not begin like a segment"),
    "references to nowhere": (
        lambda path, data: path.write_bytes(put(data, REFERENCES_AT, b"\xff" * 12)),
        "a reference points outside of it"),
    "cut in its first chunk": (lambda path, data: path.write_bytes(data[:20_000]),
                               "shorter than its chunks"),
    "cut in its header": (lambda path, data: path.write_bytes(data[:100]), "cut off"),
    "another layout": (lambda path, data: path.write_bytes(put(data, LAYOUT_AT, b"\7")), "layout"),
    "more chunks than bytes": (lambda path, data: path.write_bytes(put(data, CHUNKS_AT, b"\x10")),
                               "shorter than its chunks"),
    "a counter that leapt": (lambda path, data: path.write_bytes(with_count(data, 1 << 62)), "leapt"),
    "a negative counter": (lambda path, data: path.write_bytes(with_count(data, 2**64 - 1)), "leapt"),
    "a symbolic link": (lambda path, data: path.symlink_to("/etc/passwd"), "symbolic link"),
    "a symbolic link to nothing": (lambda path, data: path.symlink_to("/nonexistent"), "symbolic link"),
    "a FIFO": (lambda path, data: os.mkfifo(path), "not a regular file"),
    "a directory": (lambda path, data: path.mkdir(), "not a regular file"),
    "a socket": (lambda path, data: bind(path), "not a regular file"),
    "a sparse file of 1 GiB": (lambda path, data: (path.write_bytes(data), os.truncate(path, 1 << 30)),
                               "larger than a segment can be"),
}


def bind(path):
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as one:
        folder = os.open(path.parent, os.O_PATH)
        one.bind(f"/proc/self/fd/{folder}/{path.name}")
        os.close(folder)


class TestSegments:
    """A run directory with a file that is no segment, or lies."""

    @pytest.fixture
    def left(self, logfold, preload, build, tmp_path):
        """left(COUNT): the file that a preloaded process with so many calls has left."""
        def left(count):
            before = set(logfold.run_dir.glob("segments/*.seg"))
            out = preloaded(logfold, preload, build / "progs" / "chatter", "format",
                            tmp_path / "progress", count)
            assert (out[0].count(b"\n"), out[2]) == (count, 0)
            made = set(logfold.run_dir.glob("segments/*.seg")) - before
            assert len(made) == 1
            return made.pop()
        return left

    @staticmethod
    def name_like(path):
        """A name of the same process, with other random bits."""
        return path.with_name(re.sub(r"[0-9a-f]{32}\.seg$", secrets.token_hex(16) + ".seg", path.name))

    @pytest.mark.parametrize("what", FILES)
    def test_a_file_that_is_no_segment_is_moved_away_and_told_and_the_others_are_counted(
            self, logfold, left, what):
        make, reason = FILES[what]
        model = left(PRINTED)
        path, data = self.name_like(model), model.read_bytes()
        model.unlink()
        make(path, data)
        left(7)
        started = time.monotonic()
        listed = logfold("ls")
        assert listed.returncode == 0
        assert time.monotonic() - started < 5
        assert re.search(re.escape(path.name) + r"' was moved there and is not counted: .*" +
                         re.escape(reason), listed.stderr), listed.stderr
        assert (logfold.run_dir / "quarantine" / path.name).is_symlink() or \
            (logfold.run_dir / "quarantine" / path.name).exists()
        assert logfold("ls").stderr == "", "told once"
        assert total(logfold) == 7
        left(4)
        assert total(logfold) == 11

    @pytest.mark.parametrize("name", ["x.seg", "..seg", "a" * 200 + ".seg", "ä\n\x1b[31m.seg",
                                      "0-0-0-0.seg", f"{'0' * 32}-1-1-{'f' * 31}.seg"])
    def test_a_name_that_is_no_segments_is_moved_away_and_the_others_are_counted(self, logfold, left,
                                                                                 name):
        model = left(PRINTED)
        shutil.copyfile(model, model.with_name(name))
        listed = logfold("ls")
        assert listed.returncode == 0
        assert total(logfold) == PRINTED
        assert [path.name for path in logfold.run_dir.glob("segments/*")] == []

    def test_other_files_among_the_segments_are_let_lie(self, logfold, left):
        model = left(PRINTED)
        for name in ("README", "x.seg.tmp", ".seg"):
            model.with_name(name).write_text("not ours")
        assert logfold("ls").stderr == ""
        assert total(logfold) == PRINTED
        assert sorted(p.name for p in model.parent.iterdir()) == [".seg", "README", "x.seg.tmp"]

    def test_an_empty_segment_of_the_dead_is_a_process_that_had_no_room(self, logfold, left, wait_for):
        model = left(PRINTED)
        empty = self.name_like(model)
        empty.write_bytes(b"")
        listed = logfold("ls")
        assert "could not be counted" in listed.stderr and str(logfold.run_dir) in listed.stderr
        assert total(logfold) == PRINTED
        wait_for(lambda: logfold("ls").returncode == 0 and not empty.exists(), "the file is removed")

    def test_a_copy_of_a_segment_counts_as_the_process_that_it_says_it_is(self, logfold, left):
        """Nothing in it tells it from an honest one; but each name is counted once only."""
        model = left(PRINTED)
        copy = self.name_like(model)
        shutil.copyfile(model, copy)
        assert total(logfold) == 2 * PRINTED
        assert total(logfold) == 2 * PRINTED

    def test_a_segment_of_an_earlier_boot_is_counted_once_and_removed(self, logfold, left):
        model = left(PRINTED)
        model.rename(model.with_name(secrets.token_hex(16) + model.name[32:]))
        assert total(logfold) == PRINTED
        assert total(logfold) == PRINTED
        assert list(logfold.run_dir.glob("segments/*")) == []

    def test_counters_that_fall_under_a_living_process_quarantine_its_file_and_not_the_process(
            self, logfold, left, slow):
        process = slow(agent=False)
        process.print(20)
        assert total(logfold) == 20
        segment = next(logfold.run_dir.glob("segments/*.seg"))
        with open(segment, "r+b") as file:
            file.seek(COUNTS_AT)
            file.write(struct.pack("Q", 3))
        listed = logfold("ls")
        assert "a counter fell" in listed.stderr and segment.name in listed.stderr
        process.print(5)
        assert process.printed() == list(range(25))
        assert process.end() == 0
        left(2)
        assert total(logfold) == 22, "what was counted before stays"

    def test_counters_that_leap_under_a_living_process_quarantine_its_file_and_not_the_process(
            self, logfold, slow):
        processes = [slow(agent=False), slow(agent=False)]
        for one in processes:
            one.print(20)
        assert total(logfold) == 40
        segment = next(logfold.run_dir.glob(f"segments/*-{processes[0].job.pid}-*.seg"))
        with open(segment, "r+b") as file:
            file.seek(COUNTS_AT)
            file.write(struct.pack("Q", 10**15))
        assert "leapt further than calls can be made" in logfold("ls").stderr
        for one in processes:
            one.print(5)
            assert one.end() == 0
        assert total(logfold) == 45

    def test_a_segment_that_is_deleted_under_a_living_process_does_not_hurt_it(self, logfold, slow):
        process = slow(agent=False)
        process.print(20)
        assert total(logfold) == 20
        next(logfold.run_dir.glob("segments/*.seg")).unlink()
        process.print(5)
        assert logfold("ls").returncode == 0
        assert process.printed() == list(range(25))
        assert process.end() == 0
        assert total(logfold) == 20

    def test_a_run_directory_that_is_deleted_under_a_run_does_not_hurt_the_command(self, logfold, slow):
        running = slow()
        running.print(20)
        assert total(logfold) == 20
        shutil.rmtree(next(logfold.run_dir.glob("run-*")))
        running.print(5)
        assert running.printed() == list(range(25))
        assert running.end() == 0
        assert total(logfold) == 20

    @pytest.mark.parametrize("damage", [b"", b"logfold-stamp 1\n", b"garbage\n", b"\0" * 4096,
                                        "random"], ids=["empty", "cut", "garbage", "zeros", "random"])
    def test_a_damaged_stamp_is_told_with_its_remedy_and_nothing_is_counted_twice(self, logfold, slow,
                                                                                  damage):
        process = slow(agent=False)
        process.print(20)
        assert total(logfold) == 20
        stamp = logfold.run_dir / "stamp"
        stamp.write_bytes(secrets.token_bytes(500) if damage == "random" else damage)
        process.print(5)
        listed = logfold("ls")
        assert "its stamp cannot be read" in listed.stderr and "move the directory away" in listed.stderr
        ran = logfold("run", "--summary", "none", "sleep", "0.3")
        assert ran.stderr.count("its stamp cannot be read") == 1, "once, not at each step"
        assert process.end() == 0
        stamp.unlink()
        assert total(logfold) == 25, "the store knows how far it was"

    @pytest.mark.parametrize("damage", [b"", b"garbage", b"\xff" * 200_000],
                             ids=["empty", "garbage", "too long"])
    def test_a_damaged_flags_table_hurts_nobody(self, logfold, preload, damage):
        (logfold.run_dir / "flags").write_bytes(damage)
        assert preloaded(logfold, preload, *HOST) == SAYS
        listed = logfold("ls")
        assert listed.returncode == 0
        assert total(logfold) == 2


class TestControl:
    """What anybody may send to an agent's socket."""

    @pytest.fixture
    def connect(self, logfold):
        opened = contextlib.ExitStack()

        def connect():
            one = opened.enter_context(socket.socket(socket.AF_UNIX))
            one.settimeout(DEADLINE_S)
            folder = os.open(next(logfold.run_dir.glob("run-*")), os.O_PATH)
            one.connect(f"/proc/self/fd/{folder}/control")
            os.close(folder)
            return one

        with opened:
            yield connect

    @pytest.mark.parametrize("sent", [b"\n", b"no such verb\n", b"mute\n", b"mute a b c d\n",
                                      b"mute default " + b"f" * 32 + b"\n", b"drain" * 2000 + b"\n",
                                      b"\0\0\0\0\n", b"\xff\xfe\n",
                                      b"mute \x1b[31m%s%n " + b"0" * 32 + b"\n", "random"],
                             ids=["empty", "unknown", "no words", "many words", "no entry", "endless",
                                  "zeros", "no UTF-8", "escapes", "random"])
    def test_garbage_gets_an_error_or_nothing_and_the_agent_works_on(self, logfold, slow, connect,
                                                                     sent):
        running = slow()
        running.print(3)
        one = connect()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            one.sendall(secrets.token_bytes(3000) + b"\n" if sent == "random" else sent)
            answer = one.recv(10_000)
            assert answer == b"" or answer.startswith(b"error "), answer
        running.print(4)
        assert total(logfold) == 7
        assert running.end() == 0
        assert total(logfold) == 7

    def test_clients_that_say_nothing_do_not_hold_up_others(self, logfold, slow, connect):
        running = slow()
        running.print(3)
        silent = [connect() for _ in range(10)]
        for one in silent[:5]:
            one.sendall(b"dra")
        started = time.monotonic()
        assert total(logfold) == 3
        assert time.monotonic() - started < 5, "before the first of them loses its place"
        running.print(1)
        assert running.end() == 0
        assert total(logfold) == 4


class TestUsage:
    @pytest.mark.parametrize("arguments, named", [
        (("run", "--no-such-option", "--", "echo", "hi"), "--no-such-option"),
        (("run",), "command"), (("run", "--"), "command"), (("ls", "--store"), "--store"),
        (("no-such-command",), "no-such-command"), (("mute",), "mute"),
        (("run", "--summary", "loud", "--", "echo", "hi"), "loud"),
    ])
    def test_wrong_usage_is_one_line_that_names_the_mistake_and_nothing_is_run(self, logfold, arguments,
                                                                               named):
        done = logfold(*arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (64, "", 1)
        assert named.lower() in done.stderr.lower()
        assert list(logfold.run_dir.iterdir()) == [] and not logfold.store.exists()
