"""The MongoDB sink on a server, looked at with pymongo: what stands there, the sums, and every failure."""

import datetime
import socket
import time

import pytest
from certificates import Authority
from conftest import DEADLINE_S, wait_until
from servers_mongo import free_port, mongo, mongo_server  # noqa: F401 (fixtures)
from sink_driver import A, B, contract, drive, hash_of, record, sink_build  # noqa: F401 (fixtures)

TIMEOUT_MS = 1500
DRIVER_TIMEOUT_MS = 30000  # TIMEOUT_MS of sink_drive.c
SLACK_MS = 2000  # two cores, and others on them
UTC = datetime.timezone.utc


@pytest.fixture
def agent(mongo, drive):  # noqa: F811
    """A sink of that incarnation on the server, ready.  What a sanitizer finds in it fails the test."""
    made = []

    def make(incarnation=A, **options):
        sink = drive("mongo", **{"uri": mongo.uri, "database": mongo.database,
                                 "incarnation": incarnation, **options})
        assert sink.opened["result"] == "done", sink.opened
        sink.must("hello")
        made.append(sink)
        return sink

    yield make
    for sink in made:
        assert sink.process.poll() is not None or sink.close() == 0, sink.log.read_text()


def entry(mongo, number, namespace="shop"):  # noqa: F811
    return mongo.db.entries.find_one({"_id": f"{namespace}:{hash_of(number)}"})


# --- what stands there ------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_the_contract_holds(mongo_server, contract, tls):  # noqa: F811
    server = mongo_server(tls=tls)
    contract("mongo", server.uri)
    server.client().drop_database("logfold_contract")


def test_an_entry_has_its_fields_at_the_top_with_dates_numbers_and_an_array(agent, mongo):  # noqa: F811
    sink = agent(host="web1")
    sink.flush([record(1, {A: [5, 4, 3, 2, 1]}, tags='["web","x"]', enabled=0, version=2, writer="ann",
                       file="src/a.c", line=42, family=hash_of(7), policy="sample=1/10")])
    sink.settle()
    found = entry(mongo, 1)
    first = datetime.datetime(2024, 5, 6, 7, 8, 9, 123000, UTC)
    last = datetime.datetime(2024, 5, 6, 7, 8, 10, 456000, UTC)
    assert found == {
        "_id": f"shop:{hash_of(1)}", "hash": hash_of(1), "namespace": "shop", "method": "printf",
        "messageTemplate": "message 1", "templateKind": "format", "topFrame": "shop!main",
        "enabled": False, "persistToCache": True, "persistToDb": True, "tags": ["web", "x"],
        "firstSeenAt": first, "lastSeenAt": last, "countTotal": 15, "countPassed": 5, "countMuted": 4,
        "countSampled": 3, "countLimited": 2, "countFolded": 1, "flagsVersion": 2, "flagsWriter": "ann",
        "sourceFile": "src/a.c", "sourceLine": 42, "family": hash_of(7), "policy": "sample=1/10",
    }
    assert mongo.db.counts.find_one() == {
        "_id": f"shop:{hash_of(1)}:{A}", "hash": hash_of(1), "namespace": "shop", "incarnation": A,
        "host": "web1", "firstSeenAt": first, "lastSeenAt": last, "countTotal": 15, "countPassed": 5,
        "countMuted": 4, "countSampled": 3, "countLimited": 2, "countFolded": 1,
    }


def test_the_report_of_a_namespace_has_an_index(agent, mongo):  # noqa: F811
    agent()
    keys = [tuple(index["key"].items()) for index in mongo.db.entries.list_indexes()]
    assert (("namespace", 1), ("countTotal", -1)) in keys


def test_a_database_that_was_dropped_has_another_epoch(agent, mongo):  # noqa: F811
    sink = agent()
    before = sink.must("hello")["epoch"]
    mongo.client().drop_database(mongo.database)
    after = sink.must("hello")["epoch"]
    assert len(after) == 36 and after != before
    assert "report" in mongo.db.entries.index_information()


# --- sums -------------------------------------------------------------------------------------------


def test_sums_of_two_writers_are_exact_beyond_2_to_the_53(agent, mongo):  # noqa: F811
    one, two = agent(A), agent(B)
    large = 2**60 + 1
    one.flush([record(n, {A: [large + n, n]}) for n in range(20)])
    two.flush([record(n, {B: [n, 1]}) for n in range(20)])
    one.settle()
    two.settle()
    for n in range(20):
        found = entry(mongo, n)
        assert (found["countPassed"], found["countMuted"]) == (large + 2 * n, n + 1)
        assert found["countTotal"] == large + 3 * n + 1
    assert mongo.db.counts.count_documents({"dirty": True}) == 0
    assert mongo.db.leases.find_one({"_id": "shop:rollup"})["holder"] == ""


def test_more_entries_than_one_batch_are_summed(agent, mongo):  # noqa: F811
    sink = agent()
    sink.flush([record(n, {A: [n + 1]}) for n in range(1100)])
    sink.settle()
    wrong = [e for e in mongo.db.entries.find() if e["countTotal"] != int(e["hash"], 16) + 1]
    assert wrong == [] and mongo.db.entries.count_documents({}) == 1100


def test_a_sum_comes_about_although_its_holder_was_killed_and_his_last_write_came_late(
        agent, mongo):  # noqa: F811
    """The holder dies after it took the marks and before it summed; then a write of its comes late."""
    counts, lease = mongo.db.counts, {"_id": "shop:rollup"}
    one, two = agent(A), agent(B)
    one.flush([record(1, {A: [5]}), record(2, {A: [6]})])
    # Its own lease of an earlier life: it sums all, and holds on to it for a second time.
    mongo.db.leases.insert_one({**lease, "holder": A, "serial": 7})
    assert one.must("tend")["busy"]
    assert mongo.db.leases.find_one(lease)["holder"] == A
    assert entry(mongo, 1)["countTotal"] == 5
    one.flush([record(1, {A: [50]})])
    counts.update_many({}, {"$unset": {"dirty": ""}})
    one.kill()

    assert two.must("tend")["busy"], "somebody holds the lease, and may have died at work"
    wait_until(lambda: two.must("tend") and entry(mongo, 1)["countTotal"] == 50,
               "the other takes the lease over and sums all")
    assert mongo.db.leases.find_one(lease)["holder"] == B
    # What the dead one still had under way takes the mark of a newer write away.
    two.flush([record(2, {B: [4]})])
    counts.update_many({}, {"$unset": {"dirty": ""}})
    wait_until(lambda: two.must("tend") and entry(mongo, 2)["countTotal"] == 10,
               "all is summed once more, a term later")
    two.settle()
    assert mongo.db.leases.find_one(lease)["holder"] == ""


@pytest.mark.parametrize("spoiled", [
    {}, {"holder": None, "serial": 7}, {"holder": B}, {"holder": "", "serial": "7"},
    {"holder": "somebody whose name is longer than a name may be", "serial": 7}, {"serial": 7.5},
], ids=str)
def test_a_lease_that_somebody_spoiled_keeps_nobody_from_summing(agent, mongo, spoiled):  # noqa: F811
    sink = agent()
    mongo.db.leases.insert_one({"_id": "shop:rollup", **spoiled})
    sink.flush([record(1, {A: [5]})])
    wait_until(lambda: sink.must("tend") and entry(mongo, 1)["countTotal"] == 5, "the sum")


def test_marked_documents_that_are_not_ours_keep_no_sum_from_being_made(agent, mongo):  # noqa: F811
    sink = agent()
    foreign = [{"namespace": "shop", "dirty": True, "hash": hash_of(n)} for n in range(1100)]
    mongo.db.counts.insert_many([*foreign, {"namespace": "shop", "dirty": True, "hash": 7}])
    sink.flush([record(2000, {A: [5]})])
    sink.settle()
    assert entry(mongo, 2000)["countTotal"] == 5
    assert mongo.db.counts.count_documents({"dirty": True}) == 0


def test_a_lease_that_is_renewed_is_left_to_its_holder(agent, mongo):  # noqa: F811
    sink = agent(B)
    sink.flush([record(1, {B: [5]})])
    for serial in (3, 4, 5):
        mongo.db.leases.update_one({"_id": "shop:rollup"}, {"$set": {"holder": A, "serial": serial}},
                                   upsert=True)
        assert sink.must("tend")["busy"]
    assert mongo.db.leases.find_one({"_id": "shop:rollup"})["holder"] == A
    assert entry(mongo, 1)["countTotal"] == 0


# --- what people do ---------------------------------------------------------------------------------


def test_what_a_person_sets_in_the_database_is_read(agent, mongo):  # noqa: F811
    sink = agent()
    sink.flush([record(n, {A: [1]}) for n in (1, 2, 3, 4)])
    mongo.db.entries.update_one({"hash": hash_of(2)}, {"$set": {"enabled": False}})
    mongo.db.entries.update_one({"hash": hash_of(4)}, {"$set": {"tags": "word"}})
    mongo.db.entries.update_one({"hash": hash_of(3)}, {"$push": {"tags": "mine"}})
    flagged = {e["hash"]: e for e, _ in sink.entries(flagged=1)}
    assert not flagged[hash_of(2)]["enabled"] and flagged[hash_of(2)]["flagsVersion"] == 0
    assert flagged[hash_of(3)]["tags"] == ["mine"] and flagged[hash_of(4)]["tags"] == ["word"]


def test_a_version_that_is_lower_does_not_undo_a_persons(agent, mongo):  # noqa: F811
    sink = agent()
    sink.flush([record(1, {A: [1]})])
    mongo.db.entries.update_one({"hash": hash_of(1)}, {"$set": {"enabled": False, "flagsVersion": 5}})
    sink.flush([record(1, {A: [2]}, version=4, writer="zoe", flagsChanged=1)])
    assert entry(mongo, 1)["enabled"] is False
    sink.flush([record(1, {A: [2]}, version=6, writer="ann", flagsChanged=1)])
    assert entry(mongo, 1)["enabled"] is True


def test_documents_of_another_program_are_read_as_far_as_they_can_be(agent, mongo):  # noqa: F811
    mongo.db.entries.insert_many([
        {"_id": "shop:" + hash_of(1), "namespace": "shop", "hash": hash_of(1), "method": "print",
         "messageTemplate": "a\0b", "topFrame": "x!y", "countTotal": 12.0, "enabled": 0,
         "firstSeenAt": "2024-05-06T09:08:09.5+02:00", "lastSeenAt": "2024-05-06 07:08:10",
         "tags": ["ü \"x\"", 4, "\n"], "extra": {"a": [1]}},
        {"_id": "shop:" + hash_of(2), "namespace": "shop", "countTotal": "345", "tags": "one",
         "enabled": "false", "flagsVersion": None, "lastSeenAt": {"no": "date"}},
        {"_id": "shop:nothing", "namespace": "shop", "hash": 5},
        {"_id": "other:" + hash_of(3), "namespace": "other", "hash": hash_of(3)},
    ])
    found = {e["hash"]: (e, shares) for e, shares in agent().entries(shares=1)}
    one, shares = found[hash_of(1)]
    assert shares is None and one["countTotal"] == 12 and one["counts"] == [12, 0, 0, 0, 0]
    assert one["messageTemplate"] == "a\\x00b" and not one["enabled"] and one["flagsVersion"] == -1
    assert one["firstSeenAt"] == "2024-05-06T07:08:09.500Z"
    assert one["lastSeenAt"] == "2024-05-06T07:08:10.000Z"
    assert one["tags"] == ["ü \"x\"", "\n"]
    two, _ = found[hash_of(2)]
    assert two["countTotal"] == 345 and two["tags"] == ["one"] and not two["enabled"]
    assert two["flagsVersion"] == -1 and two["lastSeenAt"] == "" and two["method"] == ""
    assert set(found) == {hash_of(1), hash_of(2), "nothing"}


# --- failures ---------------------------------------------------------------------------------------


def fails(sink, result, *words, verb="hello", **how):
    """It fails as `result`, by one sentence that has these words, in time."""
    answer = sink.do(verb, **how)
    assert answer["result"] == result, answer
    assert answer["ms"] < how.get("timeout", DRIVER_TIMEOUT_MS) + SLACK_MS, answer
    assert "\n" not in answer["error"], answer
    for word in words:
        assert word in answer["error"], answer
    return answer["error"]


@pytest.mark.parametrize("uri, words", [
    ("mongodb://{}/?retyrWrites=false", ["retyrwrites", "misspelled"]),
    ("mongodb://{}/?connectTimeoutMS=soon", ["soon"]),
    ("mongodb://{}/?w=0", ["w=0"]),
    ("mongodb://ann:hunter2%zz@{}/", ["escapes"]),
    ("mongodb://ann:x:hunter2@{}/", ["unescaped"]),
    ("mongodb://ann:" + 250 * "x" + "hunter2%zz@{}/", ["escapes"]),
    ("mongodb:ann:hunter2@{}/", ["mongodb://"]),
    ("redis://ann:hunter2@{}/", ["mongodb://"]),
])
def test_a_wrong_uri_is_refused_by_a_sentence_without_its_password(drive, uri, words):  # noqa: F811
    opened = drive("mongo", uri=uri.format("127.0.0.1:27017")).opened
    assert opened["result"] == "rejected"
    for word in words:
        assert word in opened["error"]
    assert "hunter2" not in opened["error"]


def test_a_password_is_taken_from_the_option_and_a_wrong_one_is_rejected(mongo_server,
                                                                         drive):  # noqa: F811
    server = mongo_server(user=("ann", "hunter2"))
    drive("mongo", uri=server.uri).must("hello")
    drive("mongo", uri=server.uri_as("ann", "wrong"), password="hunter2").must("hello")
    wrong = drive("mongo", uri=server.uri_as("ann", "hunter3"))
    for _ in range(2):
        sentence = fails(wrong, "rejected", server.address, "password")
        assert "hunter3" not in sentence
    fails(drive("mongo", uri=server.uri_as("bob", "hunter3")), "rejected", "password")
    fails(drive("mongo", uri=server.uri_as(None, None)), "rejected", "user")


def test_tls_is_verified_and_what_is_wrong_with_it_is_told(mongo_server, drive, tmp_path):  # noqa: F811
    server, plain = mongo_server(tls=True), mongo_server()
    bare = f"mongodb://{server.address}/"
    client = server.ca.issue("client")
    drive("mongo", uri=server.uri).must("hello")
    sink = drive("mongo", uri=bare, tls_ca_file=server.ca.file, tls_certificate_file=client.certificate,
                 tls_key_file=client.key)
    sink.must("hello")
    other = Authority(tmp_path)
    fails(drive("mongo", uri=bare, tls_ca_file=other.file), "rejected", "certificate", "tls_ca_file")
    fails(drive("mongo", uri=bare, tls_ca_file=tmp_path / "none"), "rejected", "none", "No such file")
    fails(drive("mongo", uri=bare), "retry", "TLS")
    fails(drive("mongo", uri=f"mongodb://{plain.address}/?tls=true"), "retry", "TLS")
    server.stop()  # a write to a closed TLS connection must not kill by SIGPIPE
    fails(sink, "retry", server.address)
    fails(sink, "retry", "nobody listens")
    server.start()
    wait_until(lambda: sink.do("hello")["result"] == "done", "the server is back")


def test_hosts_that_are_not_there_are_named(drive):  # noqa: F811
    fails(drive("mongo", uri=f"mongodb://127.0.0.1:{free_port()}/"), "retry", "nobody listens")
    fails(drive("mongo", uri="mongodb://no-such-host.invalid/"), "retry", "no-such-host.invalid")


def test_a_service_that_nobody_knows_is_asked_for_again_and_costs_no_more_than_the_timeout(drive):  # noqa: F811
    sink = drive("mongo", uri="mongodb+srv://user:secret@no.such.invalid/")
    for _ in range(2):
        fails(sink, "retry", "no.such.invalid", "spelled right", timeout=TIMEOUT_MS)


def test_a_server_that_takes_connections_and_is_silent_costs_no_more_than_the_timeout(drive):  # noqa: F811
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        fails(drive("mongo", uri="mongodb://127.0.0.1:%d/" % silent.getsockname()[1]), "retry",
              "no answer in time", timeout=TIMEOUT_MS)


def test_a_server_that_stands_still_costs_the_timeout_and_no_number(agent, mongo):  # noqa: F811
    sink = agent()
    sink.flush([record(1, {A: [1]})], sequence=1)
    mongo.freeze()
    for _ in range(2):  # the second on a new connection
        sink.send(record(1, {A: [2]}), record(2, {A: [3]}))
        for verb in ("flush", "tend", "read"):
            fails(sink, "retry", "no answer in time", verb=verb, timeout=600)
    mongo.resume()
    sink.flush([record(1, {A: [40]})], sequence=9)
    sink.flush([record(2, {A: [3]})], sequence=4)
    sink.settle()
    assert entry(mongo, 1)["countTotal"] == 40 and entry(mongo, 2)["countTotal"] == 3
    assert sink.must("hello")["sequence"] == 9


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_after_a_restart_the_same_sink_goes_on(agent, mongo, how):  # noqa: F811
    sink = agent()
    sink.flush([record(1, {A: [1]})])
    getattr(mongo, how)()
    sink.send(record(1, {A: [2]}))
    fails(sink, "retry", verb="flush")
    mongo.start()
    sink.send(record(1, {A: [2]}))
    wait_until(lambda: sink.do("hello")["result"] == "done", "the server is back")
    sink.must("flush")
    sink.settle()
    assert entry(mongo, 1)["countTotal"] == 2


def test_closing_while_the_server_stands_still_does_not_wait(agent, mongo):  # noqa: F811
    sink = agent()
    mongo.freeze()
    began = time.monotonic()
    assert sink.close() == 0
    assert time.monotonic() - began < 5
