"""The MongoDB sink and answers that a test must make up: of a replica set, of change streams, of a server
that fails in the middle."""

import contextlib
import socket
import ssl
import threading
import time

import bson
import pytest
from certificates import Authority
from conftest import wait_until
from fake_mongo import Drop, cursor, fake_mongo  # noqa: F401 (fixture)
from sink_driver import A, drive, hash_of, record, sink_build  # noqa: F401 (fixtures)

EPOCH = "0f0f0f0f-0000-4000-8000-000000000000"
TIMEOUT_MS = 1500
SLACK_MS = 2000


@pytest.fixture
def fake(fake_mongo):  # noqa: F811
    made = fake_mongo()
    made.answers["find"] = lambda command: cursor(
        *([{"_id": "shop:epoch", "epoch": EPOCH}] if "epoch" in str(command["filter"]) else []))
    return made


@pytest.fixture
def sink(fake, drive):  # noqa: F811
    made = drive("mongo", uri=fake.uri, incarnation=A)
    yield made
    fake.slowly = 0
    assert made.process.poll() is not None or made.close() == 0, made.log.read_text()


def flush(sink, how=None, **words):
    sink.send(record(1, {A: [5]}, **words))
    return sink.do("flush", sequence=1, **(how or {}))


# --- writing ----------------------------------------------------------------------------------------


def test_writes_wait_for_the_majority_and_are_not_repeated_by_the_library(fake, sink):
    fake.become_a_primary()
    assert flush(sink)["result"] == "done"
    for update in fake.heard("update"):
        assert update["writeConcern"] == {"w": "majority"}
        assert "txnNumber" not in update
    assert [update["update"] for update in fake.heard("update")] == ["entries", "counts", "leases"]


def test_flags_are_written_where_the_pair_is_lower_and_never_make_an_entry(fake, sink):
    assert flush(sink, version=3, writer="ann", flagsChanged=1)["result"] == "done"
    update = fake.heard("update")[1]["updates"][0]
    assert update["q"] == {"_id": f"shop:{hash_of(1)}", "$or": [
        {"flagsVersion": {"$not": {"$gte": 3}}},
        {"flagsVersion": 3, "flagsWriter": {"$not": {"$gte": "ann"}}}]}
    assert not update.get("upsert")


@pytest.mark.parametrize("answer, result", [
    ({"ok": 1.0, "n": 1, "nModified": 1,
      "writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}, "retry"),
    ({"ok": 0.0, "code": 10107, "errmsg": "not primary"}, "retry"),
    ({"ok": 0.0, "code": 11600, "errmsg": "interrupted at shutdown"}, "retry"),
    ({"ok": 0.0, "code": 13, "errmsg": "not authorized on logfold"}, "rejected"),
    ({"ok": 1.0, "n": 0, "writeErrors": [{"index": 0, "code": 11000, "errmsg": "duplicate"}]}, "retry"),
    ({"ok": 1.0, "n": 0, "writeErrors": [{"index": 0, "code": 121, "errmsg": "validation"}]}, "rejected"),
])
def test_an_error_of_the_server_is_taken_for_what_it_is(fake, sink, answer, result):
    before = fake.answers["update"]
    fake.answers["update"] = answer
    said = flush(sink)
    assert said["result"] == result and said["error"].startswith("mongo at 127.0.0.1:"), said
    fake.answers["update"] = before
    assert flush(sink)["result"] == "done"


def test_after_not_primary_the_servers_are_asked_anew(fake, sink):
    flush(sink)
    fake.answers["update"], before = {"ok": 0.0, "code": 10107, "errmsg": "x"}, fake.answers["update"]
    connections = fake.connections
    flush(sink)
    fake.answers["update"] = before
    assert flush(sink)["result"] == "done"
    assert fake.connections > connections


def test_a_connection_lost_in_mid_write_is_repeated_by_the_agent(fake, sink):
    def drop(_):
        raise Drop

    fake.answers["update"], before = drop, fake.answers["update"]
    assert flush(sink)["result"] == "retry"
    fake.answers["update"] = before
    assert flush(sink)["result"] == "done"


def test_a_server_that_sends_a_byte_now_and_then_costs_no_more_than_the_timeout(fake, sink):
    flush(sink)
    fake.slowly = 0.1
    for _ in range(2):  # the second while it connects
        said = flush(sink, {"timeout": TIMEOUT_MS})
        assert said["result"] == "retry" and said["ms"] < TIMEOUT_MS + SLACK_MS, said


@pytest.fixture
def listener():
    made = []

    def make(serve):
        """A port whose every connection is served by `serve`, in a thread."""
        def guarded(peer):
            with contextlib.suppress(OSError), peer:
                serve(peer)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=guarded, args=(made[0].accept()[0],), daemon=True).start()

        made.append(socket.create_server(("127.0.0.1", 0)))
        threading.Thread(target=accept, daemon=True).start()
        return made[0].getsockname()[1]

    yield make
    for one in made:
        one.close()


def test_leases_are_read_from_the_primary_whatever_the_uri_says(fake, drive):  # noqa: F811
    fake.become_a_primary()
    sink = drive("mongo", uri=fake.uri + "?readPreference=secondaryPreferred", incarnation=A)
    assert sink.do("hello")["result"] == "done"
    sink.do("tend", ["namespace=shop"])
    assert sink.do("read", ["namespace=shop"])["result"] == "done"
    elsewhere = {find["find"] for find in fake.heard("find")
                 if "secondary" in str(find.get("$readPreference"))}
    assert elsewhere == {"entries"}
    assert sink.close() == 0


def test_a_byte_of_the_tls_handshake_now_and_then_costs_no_more_than_the_timeout(listener, drive):  # noqa: F811
    def serve(peer):
        peer.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB, which never comes to its end
        while True:
            time.sleep(0.1)
            peer.sendall(b"\x02")

    sink = drive("mongo", uri=f"mongodb://127.0.0.1:{listener(serve)}/?tls=true", incarnation=A)
    said = sink.do("hello", timeout=TIMEOUT_MS)
    assert said["result"] == "retry" and said["ms"] < TIMEOUT_MS + SLACK_MS, said


def test_what_the_handshake_took_is_missing_from_the_time_for_the_answer(listener, drive, tmp_path):  # noqa: F811
    authority = Authority(tmp_path)
    pair = authority.issue("server")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    timeout, shaken = 12000, []

    def serve(peer):
        time.sleep(0.3 * timeout / 1000)  # how slow this server is: a handshake may take half of the time
        with tls.wrap_socket(peer, server_side=True) as secure:
            shaken.append(True)
            while secure.recv(4096):
                pass

    sink = drive("mongo", uri=f"mongodb://127.0.0.1:{listener(serve)}/?tls=true", incarnation=A,
                 tls_ca_file=authority.file, connect_timeout_ms=timeout)
    said = sink.do("hello", timeout=timeout)
    assert shaken and said["result"] == "retry", said
    assert said["ms"] < 1.25 * timeout, said


# --- sums -------------------------------------------------------------------------------------------


def a_dirty_share(fake, lease, marks=1):
    """One dirty share until its mark is taken; the lease as it is given."""
    share = {"_id": f"shop:{hash_of(1)}:{A}", "hash": hash_of(1)}
    taken = [lambda c: c["update"] == "counts" and "$unset" in c["updates"][0]["u"]]

    def find(command):
        if command["find"] == "leases":
            return cursor(*lease)
        left = marks - sum(taken[0](c) for c in fake.heard("update"))
        return cursor(*([share] if left > 0 and "dirty" in command["filter"] else []))

    fake.answers["find"] = find


def test_sums_are_those_of_the_server_where_it_can(fake, sink):
    a_dirty_share(fake, [{"_id": "shop:rollup", "holder": "", "serial": 4}])
    fake.answers["findandmodify"] = {"ok": 1.0, "value": {"_id": "shop:rollup"}}
    fake.answers["aggregate"] = lambda _: cursor(
        {"_id": hash_of(1), "countPassed": bson.Int64(2**60), "countMuted": 1, "countSampled": 2.0,
         "countLimited": 0, "countFolded": 0, "shares": 3})
    assert sink.must("tend")["busy"] is False
    assert fake.heard("aggregate")[0]["pipeline"] == [
        {"$match": {"namespace": "shop", "hash": {"$in": [hash_of(1)]}}},
        {"$group": {"_id": "$hash", "countPassed": {"$sum": "$countPassed"},
                    "countMuted": {"$sum": "$countMuted"}, "countSampled": {"$sum": "$countSampled"},
                    "countLimited": {"$sum": "$countLimited"}, "countFolded": {"$sum": "$countFolded"},
                    "shares": {"$sum": 1}}}]
    raised = fake.heard("update")[-1]["updates"][0]
    assert raised["q"] == {"_id": f"shop:{hash_of(1)}"} and not raised.get("upsert")
    assert raised["u"] == {"$max": {"countTotal": 2**60 + 3, "countPassed": 2**60, "countMuted": 1,
                                    "countSampled": 2, "countLimited": 0, "countFolded": 0}}


@pytest.mark.parametrize("answer", [cursor(id=7), {"ok": 1.0}], ids=["in-part", "no-batch"])
def test_sums_that_the_server_hands_out_in_part_are_made_here(fake, sink, answer):
    a_dirty_share(fake, [{"_id": "shop:rollup", "holder": "", "serial": 4}])
    shares, before = [{"hash": hash_of(1), "incarnation": A, "countPassed": 9}], fake.answers["find"]
    fake.answers["find"] = lambda c: cursor(*shares) if "$in" in str(c["filter"]) else before(c)
    fake.answers["findandmodify"] = {"ok": 1.0, "value": {"_id": "shop:rollup"}}
    fake.answers["aggregate"] = answer
    sink.must("tend")
    assert fake.heard("update")[-1]["updates"][0]["u"]["$max"]["countPassed"] == 9


def test_marks_are_taken_before_the_sum_and_what_failed_is_summed_later_without_a_mark(fake, sink):
    a_dirty_share(fake, [{"_id": "shop:rollup", "holder": "", "serial": 4}])
    fake.answers["findandmodify"] = {"ok": 1.0, "value": {"_id": "shop:rollup"}}
    fake.answers["aggregate"] = {"ok": 0.0, "code": 11600, "errmsg": "shutting down"}
    assert sink.do("tend")["result"] == "retry"
    assert [u["update"] for u in fake.heard("update")] == ["counts"]
    fake.answers["aggregate"] = lambda _: cursor({"_id": hash_of(1), "countPassed": 9, "shares": 1})
    sink.must("tend")
    assert fake.heard("update")[-1]["updates"][0]["u"]["$max"]["countPassed"] == 9


def test_who_loses_the_race_for_the_lease_sums_nothing(fake, sink):
    a_dirty_share(fake, [{"_id": "shop:rollup", "holder": "", "serial": 4}])
    fake.answers["findandmodify"] = {"ok": 1.0, "value": None}
    assert sink.must("tend")["busy"]
    a_dirty_share(fake, [])
    fake.answers["insert"] = {"ok": 1.0, "n": 0,
                              "writeErrors": [{"index": 0, "code": 11000, "errmsg": "duplicate"}]}
    assert sink.must("tend")["busy"]
    assert fake.heard("update") == [] and fake.heard("aggregate") == []


# --- change streams ---------------------------------------------------------------------------------


def event(kind, number, namespace="shop", updated=None, removed=()):
    made = {"_id": {"_data": str(number)}, "operationType": kind,
            "documentKey": {"_id": f"{namespace}:{hash_of(number)}"}}
    if updated is not None:
        made["updateDescription"] = {"updatedFields": updated, "removedFields": list(removed)}
    return made


def streams(fake, *events):
    """The server has change streams, and these events are the first."""
    batches = [list(events)]

    def next_batch(_):
        batch = batches.pop(0) if batches else []
        return {"ok": 1.0, "cursor": {"id": bson.Int64(7), "ns": "logfold.entries", "nextBatch": batch,
                                      "postBatchResumeToken": {"_data": "t"}}}

    opened = cursor(id=7)
    opened["cursor"]["postBatchResumeToken"] = {"_data": "t"}
    fake.answers["aggregate"] = opened
    fake.answers["getmore"] = next_batch


def test_change_streams_are_found_out_by_asking(fake, sink):
    fake.answers["aggregate"] = {"ok": 0.0, "code": 40573, "errmsg": "only on replica sets"}
    assert sink.must("hello")["notifies"] is False
    asked = len(fake.heard("aggregate"))
    assert sink.must("hello")["notifies"] is False
    assert len(fake.heard("aggregate")) == asked  # once on a connection
    fake.answers["update"], before = {"ok": 0.0, "code": 10107, "errmsg": "x"}, fake.answers["update"]
    assert sink.do("hello")["result"] == "retry"
    fake.answers["update"] = before
    streams(fake)
    answer = sink.must("hello")
    assert answer["notifies"] is True and answer["epoch"] == EPOCH


def test_of_all_changes_those_of_flags_are_told(fake, sink):
    streams(fake,
            event("update", 1, updated={"enabled": False}),
            event("update", 2, updated={"countTotal": 7, "lastSeenAt": 1}),
            event("update", 3, updated={"tags.1": "x"}),
            event("update", 4, updated={}, removed=["policy"]),
            event("replace", 5, namespace="web.eu"),
            event("delete", 6))
    sink.must("watch", ["namespace=shop", "namespace=web.eu"])
    pattern = fake.heard("aggregate")[-1]["pipeline"][1]["$match"]["$or"][0]["documentKey._id"]
    assert pattern == {"$regex": "^(shop|web\\.eu):"}
    told = []

    def all_told():
        told.extend(line["changed"] for line in sink.ask("changes")[:-1])
        return len(told) >= 4

    wait_until(all_told, "the changes come")
    assert told == [["shop", hash_of(1)], ["shop", hash_of(3)], ["shop", hash_of(4)],
                    ["web.eu", hash_of(5)]]
    assert sink.ask("changes")[-1]["result"] == "done"


def test_a_stream_that_broke_is_told_and_can_be_watched_again(fake, sink):
    streams(fake)
    sink.must("watch")
    fake.answers["getmore"] = {"ok": 0.0, "code": 286, "errmsg": "the resume token is gone"}
    assert sink.do("changes")["result"] == "retry"
    assert "watch again" in sink.do("changes")["error"]
    streams(fake, event("insert", 9))
    sink.must("watch")
    wait_until(lambda: [line for line in sink.ask("changes")[:-1]], "the change comes")
