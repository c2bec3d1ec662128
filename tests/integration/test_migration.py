"""`logfold export` and `logfold import`: entries move between stores, and come in from elsewhere."""

import contextlib
import hashlib
import json
import os
import random
import sqlite3
import subprocess
import threading
import uuid

import pytest
from conftest import DEADLINE_S
from servers_mongo import *  # noqa: F403

SPACE = uuid.UUID("5b1ed3c4-9a0e-4f0c-8f5c-0d6a1c2e7b39")  # of --as; agent/cli/import_take.c
OUTCOMES = ("countPassed", "countMuted", "countSampled", "countLimited", "countFolded")
HOSTILE = ('plain', 'quote " back \\ slash / tab \t newline \n', "\x01\x1f\x7f", "\\x00\\xff", "emoji \U0001f600",
           "'; DROP TABLE entries; --", "a\u2028b\ufeff", "%s %n %%", "x" * 4096, "", " ")


def entry_id(method, template, frame):
    parts = [part.encode() for part in (method, template, frame)]
    return hashlib.sha256(b"".join(len(p).to_bytes(8, "little") + p for p in parts)).hexdigest()[:32]


def select(store, sql):
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture
def new(tmp_path):
    """Paths of stores that are not there yet."""
    numbers = iter(range(100))
    return lambda: tmp_path / f"store-{next(numbers)}.db"


@pytest.fixture
def moved(logfold):
    """moved(FROM, store, …) imports, which must go well, and gives what it said."""

    def run(source, store, *options, **how):
        done = logfold("import", "--store", store, *options, source, **how)
        assert done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture
def exported(logfold):
    def run(store, *words):
        done = logfold("export", "--store", store, *words, text=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def hostile(logfold, new):
    """A store with all that can be in one."""
    store, chance = new(), random.Random(4)
    assert logfold("run", "--store", store, "--summary", "none", "--", "echo", "hi").returncode == 0
    with contextlib.closing(sqlite3.connect(store)) as connection, connection:
        for number, template in enumerate(HOSTILE * 2):
            namespace = ("shop", "bank.1_x-Y")[number // len(HOSTILE)]
            counts = [chance.choice((0, 1, 2**53 + 1, 2**59)) for _ in OUTCOMES]
            flags = [chance.randrange(2) for _ in range(3)]
            connection.execute(
                "INSERT INTO entries (namespace, hash, method, messageTemplate, templateKind, topFrame, enabled,"
                " persistToCache, persistToDb, tags, firstSeenAt, lastSeenAt, sourceFile, sourceLine, family,"
                f" policy, flagsVersion, flagsWriter, {', '.join(OUTCOMES)})"
                f" VALUES ({', '.join('?' * 23)})",
                (namespace, entry_id("printf", template, "p!f"), "printf", template, "format", "p!f", *flags,
                 ("[]", '["a","\\u00e9 \\"q\\"","é"]')[number % 2], "2024-01-01T00:00:00.123Z",
                 "9999-12-31T23:59:59.999Z", (None, "dir/main.c")[number % 2], (None, 12)[number % 2],
                 (None, "f" * 32)[number % 3 == 0], (None, '{"sample":10}')[number % 3 == 1],
                 (0, 2**63 - 1, 3)[number % 3], ("", "höst:agent")[number % 2], *counts))
    return store


class TestRoundTrip:
    def test_an_export_of_an_import_is_the_export(self, hostile, new, tmp_path, moved, exported):
        before = exported(hostile)
        assert before.count(b"\n") == 2 * len(HOSTILE) + 1
        file = tmp_path / "export.jsonl"
        file.write_bytes(before)
        second, third, fourth = new(), new(), new()
        moved(file, second)
        assert exported(second) == before
        moved(second, third)
        assert exported(third) == before
        moved("-", fourth, input=exported(third).decode())
        assert exported(fourth) == before

    def test_a_repetition_changes_nothing(self, hostile, new, tmp_path, moved, exported):
        copy, file = new(), tmp_path / "export.jsonl"
        file.write_bytes(exported(hostile))
        entries = 2 * len(HOSTILE) + 1
        assert f": {entries} new, 0 changed, 0 as they were" in moved(file, copy).stdout
        sequence = select(copy, "SELECT value FROM meta WHERE key = 'drainSequence'")
        assert f": 0 new, 0 changed, {entries} as they were" in moved(file, copy).stdout
        assert f": 0 new, 0 changed, {entries} as they were" in moved(file, hostile).stdout
        assert select(copy, "SELECT value FROM meta WHERE key = 'drainSequence'") == sequence

    def test_every_line_is_the_entry_of_ls_and_the_shares_are_its_counts(self, logfold, hostile, exported):
        lines = [json.loads(line) for line in exported(hostile).splitlines()]
        assert [(line["namespace"], line["hash"]) for line in lines] == \
            sorted((line["namespace"], line["hash"]) for line in lines)
        text = logfold("ls", "--json", "--store", hostile).stdout
        listed = {(e["namespace"], e["hash"]): e for e in map(json.loads, text.strip("\n").split("\n"))}
        for line in lines:
            shares = line.pop("shares")
            assert line == listed[line["namespace"], line["hash"]]
            for outcome in OUTCOMES:
                assert sum(share[outcome] for share in shares) == line[outcome]

    def test_what_two_machines_counted_adds_up_whichever_way_it_travels(self, logfold, new, moved, exported):
        one, two, both, other = new(), new(), new(), new()
        for store, times in ((one, 3), (two, 4)):
            for _ in range(times):
                assert logfold("run", "--store", store, "--summary", "none", "--", "echo", "hi").returncode == 0
        moved(one, both)
        assert logfold("run", "--store", one, "--summary", "none", "--", "echo", "hi").returncode == 0
        for source in (two, one, two, one):
            moved(source, both)
        moved("-", other, input=exported(both).decode())
        moved(one, other)
        assert select(both, "SELECT countTotal FROM entries") == [(8,)]
        assert exported(other) == exported(both)
        assert len(json.loads(exported(both))["shares"]) == 2
        moved(both, one)
        moved(both, two)
        assert exported(one) == exported(two) == exported(both)

    def test_a_store_of_schema_1_can_be_imported_and_stays_as_it_is(self, hostile, new, moved, exported):
        before, copy = exported(hostile), new()
        with contextlib.closing(sqlite3.connect(hostile)) as connection:
            connection.executescript("DROP TABLE shares; DROP TABLE tiers; DROP TABLE sites; DROP INDEX entriesSite; DROP INDEX entriesRuled; "
                                     "ALTER TABLE entries DROP COLUMN site; DROP INDEX entriesChanged; DROP INDEX entriesFlags;"
                                     "ALTER TABLE entries DROP COLUMN changed;"
                                     "ALTER TABLE entries DROP COLUMN flagsChanged; PRAGMA user_version = 1")
        moved(hostile, copy)
        assert exported(copy) == before
        assert select(hostile, "PRAGMA user_version") == [(1,)]


class TestExport:
    def test_namespace_and_selectors_choose(self, hostile, exported):
        lines = [json.loads(line) for line in exported(hostile, "--namespace", "shop").splitlines()]
        assert len(lines) == len(HOSTILE) and {line["namespace"] for line in lines} == {"shop"}
        assert len(exported(hostile, entry_id("printf", "plain", "p!f")[:8]).splitlines()) == 2
        assert exported(hostile, "method=nobody") == b""

    def test_a_file_is_there_when_it_is_whole_and_for_its_owner_alone(self, logfold, hostile, tmp_path, exported):
        file = tmp_path / "out.jsonl"
        done = logfold("export", "--store", hostile, "--output", file)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert file.read_bytes() == exported(hostile)
        assert file.stat().st_mode & 0o777 == 0o600
        assert [p.name for p in tmp_path.glob("out.jsonl*")] == ["out.jsonl"]
        refused = logfold("export", "--store", hostile, "--output", tmp_path / "no" / "where")
        assert refused.returncode == 1 and "no/where' cannot be written" in refused.stderr

    def test_a_store_that_is_not_there_is_a_failure(self, logfold, new):
        done = logfold("export", "--store", new())
        assert done.returncode == 1 and "there is no store" in done.stderr

    def test_an_output_that_is_full_is_told(self, logfold, hostile):
        for words in (("--output", "/dev/full"),):
            done = logfold("export", "--store", hostile, *words)
            assert done.returncode == 1 and "cannot be written" in done.stderr
        with open("/dev/full", "w") as full:
            done = logfold("export", "--store", hostile, stdout=full, stderr=subprocess.PIPE)
        assert done.returncode == 1 and "cannot be written" in done.stderr


def line(**fields):
    return json.dumps({"method": "printf", "messageTemplate": "user %s in", "topFrame": "p!f"} | fields) + "\n"


class TestForeign:
    def one(self, store):
        rows = select(store, "SELECT hash, enabled, tags, countTotal, " + ", ".join(OUTCOMES) +
                      ", firstSeenAt, lastSeenAt, namespace FROM entries")
        assert len(rows) == 1
        return rows[0]

    def test_numbers_that_name_nobody_need_a_name(self, logfold, new):
        store = new()
        done = logfold("import", "--store", store, "-", input=line(countTotal=5))
        assert done.returncode == 1
        assert "stdin:1" in done.stderr and "--as NAME" in done.stderr
        assert not store.exists()

    def test_they_come_in_under_the_uuid_of_that_name_by_maximum(self, new, moved, exported):
        store = new()
        for count in (5, 9, 9, 7):
            moved("-", store, "--as", "old system", input=line(count=count))
        (entry,) = map(json.loads, exported(store).splitlines())
        assert entry["countPassed"] == entry["countTotal"] == 9
        assert entry["shares"] == [{"incarnation": str(uuid.uuid5(SPACE, "old system")), "countPassed": 9,
                                    "countMuted": 0, "countSampled": 0, "countLimited": 0, "countFolded": 0}]
        moved("-", store, "--as", "another", input=line(count=1))
        assert self.one(store)[3] == 10

    def test_outcomes_that_are_not_told_have_passed(self, new, moved):
        store = new()
        moved("-", store, "--as", "x", input=line(countTotal=10, countMuted=3, countSampled=2))
        assert self.one(store)[3:9] == (10, 5, 3, 2, 0, 0)

    def test_another_hash_than_ours_is_told_and_two_of_one_message_add_up(self, new, moved):
        store, text = new(), line(hash="abc", count=1) + line(hash="f" * 32, count=2) + line(count=4)
        said = [moved("-", store, "--as", "x", input=text) for _ in range(2)]
        assert all("2 entries had another id" in one.stderr for one in said)
        assert "1 new, 0 changed" in said[0].stdout and "0 new, 0 changed" in said[1].stdout
        row = self.one(store)
        assert row[0] == entry_id("printf", "user %s in", "p!f") and row[3] == 7
        assert moved("-", store, "--as", "x", input=line(hash=row[0].upper(), count=1)).stderr == ""

    def test_flags_and_times_in_whatever_form_come_along(self, new, moved):
        store = new()
        moved("-", store, "--as", "x", "--namespace", "shop", input=line(
            enabled=False, tags=["a", "b"], countTotal={"$numberLong": "7"},
            firstSeenAt={"$date": "2024-05-06T09:08:09.5+02:00"}, lastSeenAt=1714979289999))
        row = self.one(store)
        assert row[1:4] == (0, '["a","b"]', 7)
        assert row[9:] == ("2024-05-06T07:08:09.500Z", "2024-05-06T07:08:09.999Z", "shop")

    def test_a_time_that_nobody_tells_changes_none_that_is_known(self, new, moved):
        store, year = new(), "2020-01-01T00:00:00.000Z"
        moved("-", store, "--as", "x", input=line(count=1))
        assert self.one(store)[9] > "2024"
        with contextlib.closing(sqlite3.connect(store)) as connection, connection:
            connection.execute("UPDATE entries SET firstSeenAt = ?1, lastSeenAt = ?1", (year,))
        assert "0 changed" in moved("-", store, "--as", "x", input=line(count=1)).stdout
        assert self.one(store)[9:11] == (year, year)

    def test_an_unmuting_here_outlives_the_next_import(self, logfold, new, moved):
        store = new()
        muted = line(enabled=False, count=1)
        moved("-", store, "--as", "x", input=muted)
        assert logfold("unmute", "--store", store, "template~=user").returncode == 0
        assert "0 changed" in moved("-", store, "--as", "x", input=muted).stdout
        assert self.one(store)[1] == 1

    def test_entries_of_other_namespaces_are_left_where_they_are(self, new, moved):
        store = new()
        moved("-", store, "--as", "x", "--namespace", "shop",
              input=line(count=1, namespace="bank") + line(count=2, namespace="shop"))
        assert (self.one(store)[3], self.one(store)[-1]) == (2, "shop")

    def test_text_that_is_none_is_escaped_as_it_is_in_every_entry(self, logfold, new):
        store = new()
        raw = b'{"method":"printf","topFrame":"p!f","count":1,"messageTemplate":"a\\u0000b\\\\u0000\xff\\ud800"}'
        done = logfold("import", "--store", store, "--as", "x", "-", input=raw, text=False)
        assert done.returncode == 0, done.stderr
        template = select(store, "SELECT messageTemplate, hash FROM entries")
        expected = r"a\x00b\u0000\xff\xed\xa0\x80"
        assert template == [(expected, entry_id("printf", expected, "p!f"))]


BAD = [
    ("not json", "no JSON object"),
    ("[1]", "no JSON object"),
    ('{"method":"x"}', "messageTemplate is missing"),
    ('{"messageTemplate":"x"}', "method is missing"),
    (line(countTotal=-5).strip(), "countTotal is '-5'"),
    (line(countTotal=1.5).strip(), "countTotal is '1.5'"),
    (line(countPassed=2**61).strip(), "0 to 2^60"),
    (line(countTotal=2**61).strip(), "at most 2^60"),
    (line(countTotal="many").strip(), "countTotal is 'many'"),
    (line(countTotal=1, countMuted=2).strip(), "what did not pass is 2"),
    (line(enabled="no").strip(), "true or false"),
    (line(tags=["a", 1]).strip(), "array of texts"),
    (line(namespace="a b").strip(), "is no namespace"),
    (line(firstSeenAt="yesterday").strip(), "a time"),
    (line(shares=[{"incarnation": "me"}]).strip(), "UUID"),
    (line(shares=[{"countPassed": 1}]).strip(), "no incarnation"),
    (line(shares=[1]).strip(), "no object"),
    (line(messageTemplate="x" * (1 << 20)).strip(), "longer than 1048576"),
    ("[" * 100000, "no JSON object"),
]


class TestBadLines:
    @pytest.mark.parametrize("bad, why", BAD, ids=[why for _, why in BAD])
    def test_one_is_named_with_a_remedy_and_nothing_is_imported(self, logfold, new, tmp_path, bad, why):
        store, file = new(), tmp_path / "foreign.jsonl"
        file.write_text(line(count=1) + "\n" + bad + "\n" + line(count=1, method="puts"))
        done = logfold("import", "--store", store, "--as", "x", file)
        assert done.returncode == 1
        assert done.stderr.startswith(f"logfold: {file}:3: ") and done.stderr.count("\n") == 1
        assert why in done.stderr and "--skip-bad" in done.stderr
        assert not store.exists()

    def test_they_can_be_left_out_and_are_counted(self, new, tmp_path, moved):
        store, file = new(), tmp_path / "foreign.jsonl"
        file.write_text(line(count=1) + "".join(bad + "\n" for bad, _ in BAD) + line(count=1, method="puts"))
        done = moved(file, store, "--as", "x", "--skip-bad")
        assert f"{len(BAD)} bad lines or entries were left out" in done.stderr
        assert select(store, "SELECT sum(countTotal) FROM entries") == [(2,)]

    def test_a_store_keeps_what_it_had_when_an_import_fails(self, logfold, hostile, exported):
        before = exported(hostile)
        done = logfold("import", "--store", hostile, "--as", "x", "-", input=line(count=1) + "bad\n")
        assert done.returncode == 1
        assert exported(hostile) == before

    @pytest.mark.parametrize("source, why", [
        ("/nowhere", "'/nowhere' cannot be read: No such file"), ("/tmp", "'/tmp' cannot be read"),
        ("mongodb://localhost", "/DATABASE")])
    def test_a_source_that_cannot_be_read_is_named(self, logfold, new, source, why):
        done = logfold("import", "--store", new(), source)
        assert done.returncode == 1 and why in done.stderr and done.stderr.count("\n") == 1


class TestWhileOthersWrite:
    def test_an_import_into_a_store_that_a_run_counts_into_loses_nothing(self, logfold, build, tmp_path, moved):
        run = logfold.start("run", "--summary", "none", "--", build / "progs" / "chatter", "printf",
                            tmp_path / "progress", "20000", stdout=subprocess.DEVNULL)
        lines = "".join(line(method="puts", messageTemplate=f"m{i}", count=i + 1) for i in range(200))
        while run.poll() is None:
            moved("-", logfold.store, "--as", "x", input=lines)
        assert run.wait(timeout=DEADLINE_S) == 0
        moved("-", logfold.store, "--as", "x", input=lines)
        assert sum(e["countTotal"] for e in logfold.entries()) == 20000 + 200 * 201 // 2

    def test_a_store_that_somebody_has_open_is_read_as_it_is_now(self, logfold, hostile, new, moved, exported):
        with contextlib.closing(sqlite3.connect(hostile)) as other:
            with other:
                other.execute("UPDATE entries SET tags = '[\"late\"]'")
            copy = new()
            moved(hostile, copy)  # what is committed lies in the write-ahead log alone
            assert select(copy, "SELECT DISTINCT tags FROM entries") == [('["late"]',)]

    def test_a_slow_pipe_holds_nobody_up(self, logfold, hostile):
        slow = logfold.start("import", "--store", hostile, "--as", "x", "-", stdin=subprocess.PIPE, text=True)
        slow.stdin.write(line(count=1))
        slow.stdin.flush()
        with contextlib.closing(sqlite3.connect(hostile, timeout=0)) as other, other:
            other.execute("UPDATE entries SET tags = '[]'")
        slow.stdin.close()
        assert slow.wait(timeout=DEADLINE_S) == 0


class TestMongo:
    def uri(self, mongo, collection=""):
        server, _, options = mongo.uri.partition("?")
        return f"{server.rstrip('/')}/{mongo.database}{collection}" + (f"?{options}" if options else "")

    def document(self, **fields):
        document = {"method": "printf", "messageTemplate": "user %s in", "topFrame": "p!f", "namespace": "shop"}
        document |= {"hash": entry_id("printf", fields.get("messageTemplate", "user %s in"), "p!f")} | fields
        return {"_id": f"{document['namespace']}:{document['hash']}"} | document

    def test_a_collection_of_somebody_else_comes_in_and_is_only_read(self, logfold, mongo, new, moved, exported):
        mongo.db["console"].insert_many([
            self.document(countTotal=10, countMuted=3, enabled=False, tags=["a"]),
            self.document(messageTemplate="own id", hash="theirs", countTotal=2),
            self.document(messageTemplate="elsewhere", namespace="bank", countTotal=4)])
        mongo.db["entries"].insert_one(self.document(countTotal=999))
        store, uri = new(), self.uri(mongo, ".console")
        refused = logfold("import", "--store", store, "--namespace", "shop", uri)
        assert refused.returncode == 1 and "--as NAME" in refused.stderr
        for _ in range(2):
            done = moved(uri, store, "--as", "old", "--namespace", "shop")
            assert "1 entries had another id" in done.stderr
        assert "0 new, 0 changed" in done.stdout
        entries = {e["messageTemplate"]: e for e in map(json.loads, exported(store).splitlines())}
        assert set(entries) == {"user %s in", "own id"}
        known = entries["user %s in"]
        assert (known["countTotal"], known["countPassed"], known["enabled"], known["tags"]) == (10, 7, False, ["a"])
        assert {share["incarnation"] for e in entries.values() for share in e["shares"]} == \
            {str(uuid.uuid5(SPACE, "old"))}
        assert set(mongo.db.list_collection_names()) == {"console", "entries"}, "nothing was made"

    def test_our_own_collections_come_in_with_who_counted_what(self, mongo, new, moved, exported):
        one, two = str(uuid.uuid4()), str(uuid.uuid4())
        entry = self.document(countTotal=8, countPassed=8)
        mongo.db["entries"].insert_one(entry)
        mongo.db["counts"].insert_many([
            {"_id": f"{entry['_id']}:{who}", "namespace": "shop", "hash": entry["hash"], "incarnation": who,
             "countPassed": count, "countTotal": count} for who, count in ((one, 5), (two, 3))])
        store, uri = new(), self.uri(mongo)
        for _ in range(2):
            done = moved(uri, store, "--namespace", "shop")
        assert "0 new, 0 changed, 1 as they were" in done.stdout
        (line,) = map(json.loads, exported(store).splitlines())
        assert {share["incarnation"]: share["countPassed"] for share in line["shares"]} == {one: 5, two: 3}

    def test_a_server_that_is_not_there_is_named_and_nothing_is_made(self, logfold, new):
        store = new()
        done = logfold("import", "--store", store, "mongodb://127.0.0.1:1/logfold?serverSelectionTimeoutMS=300")
        assert done.returncode == 1 and "127.0.0.1:1" in done.stderr
        assert not store.exists()


def test_a_person_who_waits_is_told_how_far_it_is(terminal, logfold, new, tmp_path):
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    job = terminal(str(logfold.binary), "import", "--store", str(new()), "--as", "x", str(fifo))
    enough = threading.Event()

    def feed():
        with open(fifo, "w") as out:
            while not enough.is_set():
                out.write(line(count=1))
                out.flush()

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        job.expect(r"logfold: \d+ entries read")
    finally:
        enough.set()
        feeder.join(timeout=DEADLINE_S)
    rest, status = job.wait()
    assert status == 0 and "imported 1 entries" in rest
