"""One store and many processes; many stores; stores that are copied, set back, lost.

Whatever happens to a store's file, no call is counted twice in it, and what it cannot know is told.
"""

import contextlib
import json
import pathlib
import re
import shutil
import sqlite3
import subprocess

import pytest

from conftest import DEADLINE_S, ROOT
from test_mute import slow  # noqa: F401  a fixture: a chatter that prints when it is told to

GAP = r"logfold: store '(\S+)' was restored, replaced or made anew: (\d+) calls that were counted " \
      r"before, of processes in '(\S+)', are not in it; counting goes on from there\n"


def total(logfold, *arguments):
    return sum(entry["countTotal"] for entry in logfold.entries(*arguments))


def listed(logfold, *arguments):
    """Σ countTotal, and what ls had to say."""
    done = logfold("ls", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return sum(json.loads(line)["countTotal"] for line in done.stdout.splitlines()), done.stderr


def gaps(text):
    return [int(calls) for _, calls, _ in re.findall(GAP, text)]


def select(store, sql):
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def incarnation(store):
    return select(store, "SELECT value FROM meta WHERE key = 'incarnation'")[0][0]


def chatters(logfold, build, tmp_path, *runs):
    """Runs them all at once and waits; each is (how, count, arguments of `logfold run`)."""
    jobs = [logfold.start("run", "--summary", "none", *arguments, "--", build / "progs" / "chatter",
                          how, tmp_path / f"progress-{number}", str(count),
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            for number, (how, count, arguments) in enumerate(runs)]
    for job in jobs:
        assert job.wait(timeout=DEADLINE_S) == 0
        assert job.stderr.read() == ""


def schema_version():
    header = (ROOT / "agent" / "store" / "store.h").read_text()
    return int(re.search(r"LF_STORE_SCHEMA = (\d+)", header).group(1))


class TestTogether:
    def test_two_runs_at_once_on_one_store_add_up_exactly(self, logfold, build, tmp_path):
        chatters(logfold, build, tmp_path, ("format", 300_000, ()), ("format", 200_000, ()))
        entries = logfold.entries()
        assert [entry["countTotal"] for entry in entries] == [500_000]

    def test_four_runs_at_once_on_one_store_add_up_exactly_while_others_read(self, logfold, build,
                                                                             tmp_path):
        runs = (("format", 200_000, ()), ("puts", 100_000, ()), ("halves", 50_000, ()),
                ("format", 100_001, ()))
        for played in range(1, 4):
            chatters(logfold, build, tmp_path, *runs)
            by_method = {entry["method"]: entry["countTotal"] for entry in logfold.entries()}
            assert by_method == {"printf": played * 300_001, "puts": played * 100_000,
                                 "write.1": played * 25_000}

    def test_each_run_sums_up_its_own_calls_only(self, logfold, build, tmp_path):
        jobs = [logfold.start("run", "--summary", "json", "--", build / "progs" / "chatter", "puts",
                              tmp_path / f"progress-{count}", str(count), stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
                for count in (1000, 2000, 3000)]
        sums = []
        for job in jobs:
            assert job.wait(timeout=DEADLINE_S) == 0
            sums.append(json.loads(job.stderr.read())["countTotal"])
        assert sums == [1000, 2000, 3000]
        assert total(logfold) == 6000

    def test_runs_at_once_on_different_stores_do_not_leak(self, logfold, build, tmp_path):
        stores = [tmp_path / "one.db", tmp_path / "two.db"]
        chatters(logfold, build, tmp_path, ("format", 100_000, ("--store", str(stores[0]))),
                 ("format", 30_000, ("--store", str(stores[1]))), ("puts", 7, ()))
        assert total(logfold, "--store", str(stores[0])) == 100_000
        assert total(logfold, "--store", str(stores[1])) == 30_000
        assert total(logfold) == 7

    def test_what_waits_for_one_store_is_not_taken_by_another(self, logfold, slow, tmp_path):
        other = tmp_path / "other.db"
        run = slow(arguments=("--store", str(other)))
        run.print(5)
        run.job.kill()  # the agent; the chatter goes on
        assert total(logfold) == 0
        assert total(logfold, "--store", str(other)) == 5

    def test_a_preloaded_process_outlives_many_ls_and_is_exact_in_each(self, logfold, slow):
        process, printed = slow(agent=False), 0
        for times in (1, 2, 3, 40, 5):
            process.print(times)
            printed += times
            assert listed(logfold) == (printed, "")
            assert listed(logfold) == (printed, "")
        process.print(7)
        assert process.end() == 0
        assert listed(logfold) == (printed + 7, "")
        assert list(logfold.run_dir.glob("**/*.seg")) == [], "what is counted is removed"


@pytest.fixture(params=["copied over", "moved over"])
def restore(request, logfold):
    """restore(backup): puts a backup in the store's place."""
    def restore(backup):
        if request.param == "copied over":
            shutil.copyfile(backup, logfold.store)
        else:
            shutil.copyfile(backup, f"{logfold.store}.new")
            pathlib.Path(f"{logfold.store}.new").rename(logfold.store)
    return restore


@pytest.fixture
def backup(logfold, tmp_path):
    """backup(): a copy of the store, made as SQLite recommends."""
    def backup(to=tmp_path / "backup.db"):
        with (contextlib.closing(sqlite3.connect(f"file:{logfold.store}?mode=ro", uri=True)) as store,
              contextlib.closing(sqlite3.connect(to)) as copy):
            store.backup(copy)
        return to
    return backup


def remove(logfold):
    for suffix in ("", "-wal", "-shm"):
        pathlib.Path(f"{logfold.store}{suffix}").unlink(missing_ok=True)


class TestSetBack:
    def test_a_store_set_back_between_runs_counts_on_from_the_backup(self, logfold, backup, restore):
        def run(times):
            done = logfold("run", "--summary", "none", "--", "bash", "-c",
                           f"for i in {{1..{times}}}; do echo a line; done")
            assert (done.returncode, done.stderr) == (0, "")

        run(10)
        saved = backup()
        run(200)
        assert total(logfold) == 210
        restore(saved)
        assert listed(logfold) == (10, "")
        run(3)
        assert listed(logfold) == (13, "")
        assert select(logfold.store, "PRAGMA integrity_check") == [("ok",)]

    def test_a_store_set_back_while_a_process_runs_counts_nothing_twice_and_tells_the_gap(
            self, logfold, slow, backup, restore):
        process = slow(agent=False)
        process.print(10)
        assert total(logfold) == 10
        saved, before = backup(), incarnation(logfold.store)
        process.print(200)
        assert total(logfold) == 210
        restore(saved)
        process.print(5)
        counted, said = listed(logfold)
        assert counted == 15
        assert gaps(said) == [200]
        assert incarnation(logfold.store) != before
        process.print(1)
        assert process.end() == 0
        assert listed(logfold) == (16, ""), "told once"

    def test_a_store_set_back_while_the_dead_wait_counts_them_once(self, logfold, slow, backup, restore):
        process = slow(agent=False)
        process.print(10)
        assert total(logfold) == 10
        saved = backup()
        process.print(5)
        assert process.end() == 0
        restore(saved)
        assert listed(logfold) == (15, ""), "the backup knows how far it was"
        assert listed(logfold) == (15, "")

    def test_a_store_moved_in_while_a_run_goes_on_counts_nothing_twice_and_tells_the_gap(
            self, logfold, slow, backup, tmp_path):
        run = slow()
        run.print(10)
        assert total(logfold) == 10
        saved = backup()
        run.print(200)
        assert total(logfold) == 210
        saved.rename(logfold.store)
        run.print(5)
        assert run.end() == 0
        assert gaps((tmp_path / "errors-0").read_text()) == [200]
        assert listed(logfold) == (15, "")

    def test_flags_that_the_backup_did_not_have_are_gone_with_it(self, logfold, slow, backup, restore):
        process = slow(agent=False)
        process.print(2)
        assert total(logfold) == 2
        saved = backup()
        assert logfold("mute", "method=printf").returncode == 0
        process.print(3)
        assert len(process.printed()) == 2
        restore(saved)
        assert total(logfold) == 2 + 3
        process.print(4)
        assert len(process.printed()) == 6, "as the store now says"


class TestCopied:
    def test_a_copy_beside_the_original_has_numbers_and_a_name_of_its_own(self, logfold, backup, tmp_path):
        def run(times, *arguments):
            logfold("run", "--summary", "none", *arguments, "--", "bash", "-c",
                    f"for i in {{1..{times}}}; do echo a line; done")

        run(10)
        copy = backup(tmp_path / "copy.db")
        run(3, "--store", str(copy))
        run(5)
        assert listed(logfold) == (15, "")
        assert listed(logfold, "--store", str(copy)) == (13, "")
        assert incarnation(copy) != incarnation(logfold.store)

    def test_a_copy_does_not_take_what_waits_for_the_original(self, logfold, slow, backup, tmp_path):
        process = slow(agent=False)
        process.print(10)
        assert total(logfold) == 10
        copy = backup(tmp_path / "copy.db")
        process.print(5)
        assert process.end() == 0
        assert listed(logfold, "--store", str(copy)) == (10, "")
        assert listed(logfold) == (15, "")
        assert listed(logfold, "--store", str(copy)) == (10, "")


class TestLost:
    def test_a_store_deleted_while_segments_wait_is_made_anew_and_the_gap_is_told(self, logfold, slow):
        process = slow(agent=False)
        process.print(10)
        assert total(logfold) == 10
        remove(logfold)
        process.print(5)
        counted, said = listed(logfold)
        assert counted == 5
        assert gaps(said) == [10]
        process.print(2)
        assert process.end() == 0
        assert listed(logfold) == (7, "")

    def test_a_store_deleted_while_a_run_goes_on_is_made_anew_and_the_gap_is_told(self, logfold, slow,
                                                                                  tmp_path):
        run = slow(arguments=("--summary", "json"))
        run.print(10)
        assert total(logfold) == 10
        remove(logfold)
        run.print(5)
        assert run.end() == 0
        said = (tmp_path / "errors-0").read_text()
        assert gaps(said) == [10]
        assert json.loads(said.splitlines()[-1])["countTotal"] == 15, "of this run nothing is lost"
        assert listed(logfold) == (5, "")

    def test_a_store_of_a_newer_logfold_is_refused_and_the_counts_wait(self, logfold, tmp_path):
        script = ("run", "--summary", "none", "--", "bash", "-c", "echo a line; exit 3")
        logfold(*script)
        with contextlib.closing(sqlite3.connect(logfold.store)) as connection:
            connection.execute("PRAGMA user_version = 99")
        done = logfold(*script)
        assert (done.stdout, done.returncode) == ("a line\n", 3)
        assert re.search(r"logfold: store '\S+' .*newer", done.stderr)
        assert "its counts wait in" in done.stderr
        refused = logfold("ls")
        assert refused.returncode != 0 and "newer" in refused.stderr
        with contextlib.closing(sqlite3.connect(logfold.store)) as connection:
            connection.execute(f"PRAGMA user_version = {schema_version()}")
        assert listed(logfold) == (2, "")


    def test_a_newer_logfold_that_is_faster_is_left_its_store(self, logfold):
        """Both find an old one; the newer holds the lock first.  A test of time: too early shows nothing."""
        logfold("run", "--summary", "none", "--", "echo", "a line")
        with contextlib.closing(sqlite3.connect(logfold.store, isolation_level=None)) as connection:
            connection.executescript("DROP INDEX entriesSite; DROP TABLE sites; DROP INDEX entriesRuled;"
                                     "ALTER TABLE entries DROP COLUMN site; PRAGMA user_version = 2")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("PRAGMA user_version = 99")
            job = logfold.start("run", "--summary", "none", "--", "echo", "a line", stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)
            with contextlib.suppress(subprocess.TimeoutExpired):
                job.wait(timeout=0.5)
            connection.execute("COMMIT")
        assert job.wait(timeout=DEADLINE_S) == 0
        assert re.search(r"newer logfold .*\n.*its counts wait in", job.stderr.read())
        assert select(logfold.store, "SELECT sum(countTotal) FROM entries") == [(1,)]


class TestReadByOthers:
    """With nothing but SQLite."""

    @pytest.fixture
    def filled(self, logfold):
        script = 'for i in 1 2 3; do echo "noise $i"; echo "kept $i"; echo "err $i" >&2; done'
        logfold("run", "--summary", "none", "--", "bash", "-c", script)
        assert logfold("mute", "template~=noise").returncode == 0
        logfold("run", "--summary", "none", "--", "bash", "-c", script)
        return logfold.store

    def test_the_columns_are_the_fields_of_the_public_header(self, filled):
        header = (ROOT / "include" / "logfold" / "entry.h").read_text()
        fields = header[header.index(" *   hash "):header.index(" * Text is UTF-8.")]
        named = set(re.findall(r"\b(?:count[A-Z]\w+|(?:hash|namespace|method|enabled|tags)\b|"
                               r"(?:message|template|top|first|last|persist|flags)[A-Z]\w+)", fields))
        outcomes = {"count" + how for how in ("Passed", "Muted", "Sampled", "Limited", "Folded")}
        columns = {row[1] for row in select(filled, "PRAGMA table_xinfo(entries)")}
        assert len(named) > 12 and named | outcomes <= columns
        assert columns - named - outcomes == {"sourceFile", "sourceLine", "family", "policy",
                                              "changed", "flagsChanged", "site"}

    def test_count_total_is_the_sum_of_the_five_and_what_ls_shows(self, filled, logfold):
        rows = select(filled, "SELECT hash, countTotal, countPassed + countMuted + countSampled + "
                              "countLimited + countFolded, countMuted FROM entries")
        assert all(row[1] == row[2] for row in rows)
        assert {row[0]: row[1] for row in rows} == {e["hash"]: e["countTotal"] for e in logfold.entries()}
        assert sum(row[3] for row in rows) == 3

    def test_the_sqlite3_shell_reads_it_and_the_balance_holds(self, filled):
        sql = "SELECT messageTemplate, countTotal, countPassed, countMuted, enabled FROM entries ORDER BY 1"
        shell = subprocess.run(["sqlite3", "-readonly", filled, sql], capture_output=True, text=True,
                               timeout=DEADLINE_S)
        assert shell.stdout.splitlines() == ["err <*>|6|6|0|1", "kept <*>|6|6|0|1", "noise <*>|6|3|3|0"]

    def test_the_schema_has_a_version_and_the_file_an_owner(self, filled):
        assert select(filled, "PRAGMA user_version") == [(schema_version(),)]
        assert select(filled, "PRAGMA application_id") == [(int.from_bytes(b"LGFD", "big"),)]
        assert filled.stat().st_mode & 0o077 == 0, "messages may be confidential"

    def test_a_store_can_be_read_while_a_run_writes_it(self, logfold, slow):
        run = slow()
        for times in (3, 4):
            run.print(times)
            assert logfold("ls").returncode == 0
            assert select(logfold.store, "SELECT sum(countTotal) FROM entries") == [(run.told,)]
        assert run.end() == 0
