"""The cache's tier in MongoDB, against real servers; what it wrote is looked at by pymongo."""

import datetime

import pytest
from conftest import wait_until
from servers_mongo import mongo, mongo_server  # noqa: F401 (fixtures)
from tier_driver import *  # noqa: F403

SCOPE = "app:test:"
SPACE = SCOPE + "user:acme:"
KEY = SPACE + "7"
FAR = 99999999999000       # a point in time
SOON_MS = 1500             # a call that waits for nothing, on a busy machine


@pytest.fixture
def tier(tiers, mongo):  # noqa: F811
    return tiers("mongo", url=mongo.uri, database=mongo.database)


def test_a_record_is_one_document_that_people_can_read(tier, mongo):  # noqa: F811
    assert tier.store(KEY, (5, 9), b"value", f"expires={FAR}")
    assert tier.store(KEY + "0", 6, b"value")
    there = mongo.db.cache.find_one({"_id": KEY})
    assert there["kept"]["version"] == "%016x%016x" % (5, 9)
    assert there["kept"]["record"].endswith(b"value")
    gone = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(milliseconds=FAR + 1000)
    assert there["kept"]["expiresAt"] == gone
    assert mongo.db.cache.find_one({"_id": KEY + "0"})["kept"]["expiresAt"] is None


@pytest.mark.parametrize("junk", [{}, {"kept": 5}, {"kept": {"version": "x", "record": "text"}},
                                  {"kept": {"version": "0", "record": b"L\x01no record"}}])
def test_what_is_no_record_counts_as_nothing_and_gives_way(tier, mongo, junk):  # noqa: F811
    mongo.db.cache.insert_one({"_id": KEY, **junk})
    assert tier.load(KEY) == {KEY: None}
    assert tier.store(KEY, 1 << 60, b"good")
    assert tier.value(KEY) == b"good"


def test_a_record_of_another_version_than_its_document_says_gives_way(tier, mongo):  # noqa: F811
    assert tier.store(KEY, 5, b"value")
    mongo.db.cache.update_one({"_id": KEY}, {"$set": {"kept.version": "z" * 32}})
    assert tier.load(KEY) == {KEY: None}
    assert tier.store(KEY, 6, b"good")
    assert tier.value(KEY) == b"good"


def test_a_database_that_is_dropped_has_another_mark(tier, mongo):  # noqa: F811
    before = tier.ask("ping").words
    assert tier.ask("ping").words == before
    mongo.client().drop_database(mongo.database)
    after = tier.ask("ping")
    assert after.result == "done" and after.words != before


def test_a_server_that_was_killed_is_away_and_comes_back(tier, mongo):  # noqa: F811
    assert tier.store(KEY, 1, b"before")
    mongo.kill()
    gone = tier.ask("load", KEY, deadline_ms=SOON_MS)
    assert gone.result == "away" and gone.why and gone.ms < 2 * SOON_MS
    mongo.start()
    wait_until(lambda: tier.ask("load", KEY).result == "done", "the server again")
    assert tier.value(KEY) == b"before"
    assert "reconnects=1" in tier.must("info")


def test_a_scan_ends_whatever_documents_are_in_the_collection(tier, mongo):  # noqa: F811
    mongo.db.cache.insert_many([{"_id": KEY + "\0a"}, {"_id": KEY + "\0b"}, {"_id": SPACE + "8" * 5000}])
    assert tier.store(KEY, 1, b"") and tier.store(SPACE + "9", 1, b"")
    for most in (4, 1000):
        assert tier.scan(SPACE, most)[2] == [KEY, SPACE + "9"]
    stuck = tier.ask("scan", SPACE, 2)
    assert stuck.result == "rejected" and "another program" in stuck.why


def test_a_server_that_stands_still_holds_no_call_past_its_deadline(tier, mongo):  # noqa: F811
    assert tier.store(KEY, 1, b"before")
    mongo.freeze()
    for command in (["load", KEY], ["store", KEY, "2", "-"], ["raise", "9", SCOPE + "%tag:acme:a"], ["ping"]):
        answer = tier.ask(*command, deadline_ms=300)
        assert answer.result == "away" and answer.ms < 300 + SOON_MS, (command, answer)
    mongo.resume()
    wait_until(lambda: tier.ask("load", KEY).result == "done", "the server again")


def test_a_wrong_password_is_told_without_it(tiers, mongo_server):  # noqa: F811
    server = mongo_server(user=("ann", "right"))
    uri = f"mongodb://ann:wr0ng@127.0.0.1:{server.port}/?authMechanism=SCRAM-SHA-256&authSource=admin"
    answer = tiers("mongo", url=uri, database=server.database).ask("ping")
    assert answer.result == "rejected"
    assert "password" in answer.why and "wr0ng" not in answer.why


def test_no_more_connections_are_made_than_the_pool_may_have(tiers, mongo):  # noqa: F811
    tier = tiers("mongo", url=mongo.uri, database=mongo.database, pool_max=2)
    assert tier.store(KEY, 1, b"")
    assert tier.ask("storm", 8, 20, KEY, deadline_ms=60000).words[0] == "160"
    assert "connections=2" in tier.must("info")
