"""The Redis sink, against real servers; what it wrote is looked at by redis-py."""

import contextlib
import socket
import subprocess
import threading
import types

import pytest
from certificates import Authority
from conftest import wait_until
from servers_redis import *  # noqa: F403
from servers_redis import free_port
from sink_driver import *  # noqa: F403

ONE, TWO = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
HASH = "0123456789abcdef0123456789abcdef"
LARGE = 2 ** 53 + 1


def key_of(hash=HASH, namespace="shop"):
    return f"logfold:{namespace}:entry:{{{hash}}}"


class Agent:
    """One sink; each word of sink_drive.c is a method, which returns all that was answered."""

    def __init__(self, drive, incarnation=ONE, **options):
        self.incarnation = incarnation
        self._sink = drive("redis", incarnation=incarnation, **options)
        self.opened = types.SimpleNamespace(**self._sink.opened)

    def record(self, share=None, **words):
        shares = [f"share={who}:{','.join(map(str, counts))}" for who, counts in (share or {}).items()]
        self._sink.send("\t".join(["record", *(f"{k}={v}" for k, v in words.items()), *shares]))

    def __getattr__(self, verb):
        def call(namespace=(), **words):
            spaces = [namespace] if isinstance(namespace, str) else namespace
            *told, result = self._sink.ask(verb, [f"namespace={n}" for n in spaces], **words)
            return types.SimpleNamespace(**result, told=told)

        return call

    def close(self):
        """What a sanitizer found fails the test."""
        status = self._sink.close()
        assert status == (self.opened.result != "done"), self._sink.log.read_text()


@pytest.fixture
def sinks(drive):
    made = []

    def make(**options):
        made.append(Agent(drive, **options))
        return made[-1]

    yield make
    for sink in made:
        sink.close()


@pytest.fixture
def connect(sinks):
    """A sink at a server, greeted."""
    def make(server, incarnation=ONE, **options):
        options = {"uri": server.url, "ttl_s": 3600, "connect_timeout_ms": 5000} | options
        sink = sinks(incarnation=incarnation, **options)
        assert sink.opened.result == "done", sink.opened.error
        greeted = sink.hello()
        assert greeted.result == "done", greeted.error
        return sink

    return make


def done(answer):
    assert answer.result == "done", answer.error
    return answer


def send(sink, *counts, hash=HASH, **words):
    sink.record(hash=hash, share={sink.incarnation: counts or (1, 0, 0, 0, 0)}, **words)
    return done(sink.flush())


def entries(sink, **query):
    return {line["entry"]["hash"]: line["entry"] for line in done(sink.read(**query)).told}


# ---- The contract ----

@pytest.mark.parametrize("how", ["tcp", "unix", "acl", "tls"])
def test_the_contract_holds_on_one_server(how, redis_server, contract):
    server = redis_server(user=("shipper", "pass:w/rd@%", "~logfold:*", "&logfold:*", "+@all")
                          if how == "acl" else None, tls=how == "tls")
    if how == "acl":
        contract("redis", server.url_as("shipper", "pass%3aw%2frd%40%25"))
    elif how == "tls":
        contract("redis", server.url, ca=server.ca.file)
    else:
        contract("redis", server.unix_url if how == "unix" else server.url)


def test_the_contract_holds_on_a_cluster(redis_cluster, contract):
    contract("redis", redis_cluster.url)


# ---- What is written ----

def test_an_entry_is_a_hash_with_the_named_fields(redis, connect):
    send(connect(redis), 5, 4, 3, 2, 1, method="fprintf", template="a %s", frame="m!f",
         enabled=0, tags='["x"]', version=2, writer="w", file="a.c", line=7, sequence=1)
    assert redis.client().hgetall(key_of()) == {
        "hash": HASH, "namespace": "shop", "method": "fprintf", "messageTemplate": "a %s",
        "templateKind": "format", "topFrame": "m!f", "sourceFile": "a.c", "sourceLine": "7",
        "enabled": "false", "persistToCache": "true", "persistToDb": "true", "tags": '["x"]',
        "flagsVersion": "2", "flagsWriter": "w", "firstSeenAt": "2024-05-06T07:08:09.123Z",
        "lastSeenAt": "2024-05-06T07:08:10.456Z", "countTotal": "15", "countPassed": "5",
        "countMuted": "4", "countSampled": "3", "countLimited": "2", "countFolded": "1",
        f"n:{ONE}": "15", f"o:{ONE}": "5 4 3 2 1"}


def test_two_writers_at_once_end_at_the_exact_sum(redis, connect):
    sinks = [connect(redis, who) for who in (ONE, TWO)]

    def write(sink, step):
        for n in range(1, 201):
            send(sink, n * step, n, 0, 0, 0)

    writers = [threading.Thread(target=write, args=(sink, step)) for sink, step in zip(sinks, (3, 5))]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    entry = redis.client().hgetall(key_of())
    assert (entry["countPassed"], entry["countMuted"], entry["countTotal"]) == ("1600", "400", "2000")
    assert (entry[f"n:{ONE}"], entry[f"n:{TWO}"]) == ("800", "1200")


def test_counts_beyond_what_a_double_holds_are_exact(redis, connect):
    one, two = connect(redis, ONE), connect(redis, TWO)
    send(one, LARGE, LARGE, 0, 0, 0)
    send(two, 2 ** 60 + 7, 0, 0, 0, 1)
    send(one, LARGE + 1, LARGE, 0, 0, 0)
    send(one, 2 ** 61 + 3, LARGE, 999_999_999_999, 0, 0)
    send(one, 2 ** 61 + 2, LARGE + 2, 1_000_000_000_000, 0, 0)
    entry = redis.client().hgetall(key_of())
    passed, muted, sampled = 2 ** 61 + 3 + 2 ** 60 + 7, LARGE + 2, 10 ** 12
    assert int(entry["countPassed"]) == passed
    assert int(entry["countMuted"]) == muted
    assert int(entry["countSampled"]) == sampled
    assert int(entry["countTotal"]) == passed + muted + sampled + 1
    assert int(entry[f"n:{ONE}"]) == 2 ** 61 + 3 + muted + sampled
    assert entries(one)[HASH]["countTotal"] == passed + muted + sampled + 1


def test_many_shares_of_one_record_are_summed(redis, connect):
    sink = connect(redis)
    shares = {f"{n:08x}-0000-5000-8000-000000000000": (LARGE, n, 0, 0, 0) for n in range(150)}
    for _ in range(2):
        sink.record(hash=HASH, share=shares)
        done(sink.flush())
    entry = redis.client().hgetall(key_of())
    assert int(entry["countPassed"]) == 150 * LARGE
    assert int(entry["countMuted"]) == sum(range(150))


def test_a_write_that_was_frozen_and_lands_late_changes_nothing(redis, connect):
    sink, client = connect(redis), redis.client()
    send(sink, 5, 0, 0, 0, 0)
    redis.freeze()
    for passed in (9, 7):
        sink.record(hash=HASH, share={ONE: (passed, 0, 0, 0, 0)})
        late = sink.flush(timeout=300)
        assert (late.result, "in time" in late.error) == ("retry", True), late.error
    redis.resume()
    wait_until(lambda: client.hget(key_of(), f"n:{ONE}") == "9", "the late write has landed")
    send(sink, 9, 0, 0, 0, 0)
    send(sink, 7, 0, 0, 0, 0)
    assert client.hget(key_of(), "countTotal") == "9"


def test_each_write_renews_the_time_to_live_and_so_does_a_frozen_one(redis, connect):
    sink, client = connect(redis, ttl_s=500), redis.client()
    for words in ({}, {}, {"frozen": 1}):
        send(sink, **words)
        assert 400 < client.ttl(key_of()) <= 500
        client.expire(key_of(), 5)


def test_only_what_nobody_else_counts_in_is_evicted(redis, connect):
    one, two = connect(redis, ONE), connect(redis, TWO)
    mine = "f" * 32
    for sink, hash in ((one, HASH), (two, HASH), (one, mine)):
        send(sink, hash=hash)
    for hash in (HASH, mine):
        one.record(hash=hash, share={ONE: (1, 0, 0, 0, 0)})
    done(one.evict())
    assert redis.client().keys("logfold:*:entry:*") == [key_of()]
    assert redis.client().hget(key_of(), "countTotal") == "2"


# ---- Whether it is still the same server ----

def test_a_key_of_another_type_keeps_nothing_from_being_evicted(redis, connect):
    sink, client = connect(redis), redis.client()
    client.set(key_of(), "a mistake")
    sink.record(hash=HASH, share={ONE: (1, 0, 0, 0, 0)})
    done(sink.evict())
    assert not client.exists(key_of())


def test_an_emptied_server_has_another_epoch_and_knows_no_sequence(redis, connect):
    sink = connect(redis)
    sink.record(hash=HASH)
    done(sink.flush(sequence=LARGE))
    before = done(sink.hello())
    assert before.sequence == LARGE
    assert connect(redis, TWO).hello().epoch == before.epoch
    redis.client().flushall()
    after = done(sink.hello())
    assert (after.epoch != before.epoch, after.sequence) == (True, 0)
    assert done(sink.hello()).epoch == after.epoch


def test_a_restarted_server_has_another_epoch_for_it_may_have_lost_the_last_writes(redis_server, connect):
    server = redis_server(save=True)
    sink = connect(server)
    send(sink)
    before = done(sink.hello())
    server.client().save()
    server.restart()
    assert done(sink.hello()).epoch != before.epoch
    assert server.client().exists(key_of())


def test_one_emptied_master_changes_the_epoch_of_a_cluster(redis_cluster, connect):
    sink = connect(redis_cluster)
    before = done(sink.hello())
    assert done(sink.hello()).epoch == before.epoch
    redis_cluster.nodes[2].client().flushall()
    assert done(sink.hello()).epoch != before.epoch


# ---- What people write ----

def test_a_flag_that_a_person_sets_and_publishes_is_told_and_read(redis, connect):
    sink, client = connect(redis), redis.client()
    send(sink, version=3, writer="w")
    done(sink.watch())
    client.hset(key_of(), "enabled", "No")
    client.publish("logfold:shop:flags", HASH)
    told = wait_until(lambda: done(sink.changes()).told, "the change is told")
    assert told == [{"changed": ["shop", HASH]}]
    entry = entries(sink, flagged=1)[HASH]
    assert (entry["enabled"], entry["flagsVersion"]) == (0, 3)
    client.publish("logfold:shop:flags", "all of them")
    told = wait_until(lambda: done(sink.changes()).told, "the change is told")
    assert told == [{"changed": ["shop", None]}]


def test_flags_that_a_sink_writes_are_told_once(redis, connect):
    one, two = connect(redis, ONE), connect(redis, TWO)
    done(two.watch(namespace=["other", "shop"]))
    send(one)  # as it was born
    send(one, version=1, writer="a", flagsChanged=1, enabled=0)
    send(one, version=1, writer="a", flagsChanged=1, enabled=0)
    send(one, hash="e" * 32, version=1, namespace="other")
    told = []
    wait_until(lambda: told.extend(done(two.changes()).told) or len(told) >= 2, "two changes are told")
    redis.client().publish("logfold:shop:flags", "the end")
    wait_until(lambda: told.extend(done(two.changes()).told) or told[-1]["changed"][1] is None,
               "the end is told")
    assert [line["changed"] for line in told] == [["shop", HASH], ["other", "e" * 32], ["shop", None]]


def test_an_entry_that_a_person_made_keeps_its_flag_and_gets_its_identity(redis, connect):
    sink, client = connect(redis), redis.client()
    client.hset(key_of(), "enabled", "off")
    entry = entries(sink)[HASH]
    assert (entry["enabled"], entry["flagsVersion"], entry["method"]) == (0, -1, "")
    send(sink, 4, 0, 0, 0, 0, version=2, writer="w")
    entry = client.hgetall(key_of())
    assert (entry["enabled"], entry["method"], entry["flagsVersion"]) == ("off", "printf", "2")
    assert (entry["countTotal"], entry["persistToDb"]) == ("4", "true")


@pytest.mark.parametrize("text, enabled", [("false", 0), ("0", 0), ("no", 0), ("False", 0), ("OFF", 0),
                                           ("true", 1), ("1", 1), ("Yes", 1), ("", 1), ("maybe", 1)])
def test_booleans_are_read_as_people_write_them(text, enabled, redis, connect):
    redis.client().hset(key_of(), "enabled", text)
    assert entries(connect(redis))[HASH]["enabled"] == enabled


def test_values_that_are_none_count_as_not_set_and_numbers_heal(redis, connect):
    one, two, client = connect(redis, ONE), connect(redis, TWO), redis.client()
    send(one, 5, 1, 0, 0, 0)
    send(two, 3, 0, 0, 0, 0)
    client.hset(key_of(), mapping={
        "countPassed": "many", "countTotal": "-1", "flagsVersion": "new", "tags": "noisy",
        "firstSeenAt": "yesterday", "sourceLine": "x", "method": b"\xff\xfe", f"o:{TWO}": "1 2"})
    entry = entries(one)[HASH]
    assert (entry["counts"], entry["flagsVersion"], entry["tags"]) == ([0, 1, 0, 0, 0], -1, [])
    assert (entry["firstSeenAt"], entry["sourceLine"], entry["method"]) == ("", 0, "")
    send(one, 6, 1, 0, 0, 0)
    entry = entries(one)[HASH]
    assert (entry["counts"], entry["countTotal"]) == ([9, 1, 0, 0, 0], 10)
    assert entry["firstSeenAt"] == "2024-05-06T07:08:09.123Z"
    client.hset(key_of(), f"o:{ONE}", "6 1")
    send(one, 6, 2, 0, 0, 0)
    send(two, 3, 0, 4, 0, 0)
    assert entries(one)[HASH]["counts"] == [9, 2, 4, 0, 0]


def test_a_total_without_outcomes_counts_as_passed(redis, connect):
    sink, client = connect(redis), redis.client()
    client.hset(key_of(), mapping={f"n:{TWO}": "7", "countTotal": "7", "countPassed": "7",
                                   f"n:{ONE}": "2"})
    shares = done(sink.read(shares=1)).told[0]["shares"]
    assert shares == {TWO: [7, 0, 0, 0, 0], ONE: [2, 0, 0, 0, 0]}
    send(sink, 3, 1, 0, 0, 0)
    entry = entries(sink)[HASH]
    assert entry["counts"] == [10, 1, 0, 0, 0]


def test_a_key_of_another_type_is_passed_over_and_gives_way(redis, connect):
    sink, client = connect(redis), redis.client()
    client.set(key_of(), "a mistake")
    client.hset("logfold:shop:entry:{short}", "enabled", "false")
    client.hset(key_of(namespace="shop.eu"), "enabled", "false")
    assert entries(sink) == {}
    send(sink, 2, 0, 0, 0, 0)
    assert client.hget(key_of(), "countTotal") == "2"


# ---- Protocols, pub/sub, state ----

def clients_of(server):
    return [c for c in server.client().client_list() if c["name"].startswith("logfold@")]


def test_resp3_is_spoken_where_both_sides_know_it(redis, connect):
    version = subprocess.run(["pkg-config", "--modversion", "hiredis"], capture_output=True,
                             text=True, check=True).stdout
    sink = connect(redis)
    done(sink.watch())
    assert {c["resp"] for c in clients_of(redis)} == {"2" if version.startswith("0.") else "3"}
    assert {c["name"] for c in clients_of(redis)} == {"logfold@testhost"}


def test_resp2_is_spoken_to_a_server_that_knows_no_other(redis_server, connect):
    server = redis_server(options=["--rename-command", "HELLO", "", "--requirepass", "pw"])
    server.user = ("default", "pw")
    sink = connect(server)
    send(sink)
    assert {c["resp"] for c in clients_of(server)} == {"2"}


def test_who_may_not_subscribe_is_told_that_nothing_notifies(redis_server, connect):
    server = redis_server(user=("who", "pw", "~*", "resetchannels", "+@all"))
    sink = connect(server)
    assert done(sink.hello()).notifies is False
    send(sink, version=1, flagsChanged=1)  # although nobody can be told
    refused = sink.watch()
    assert (refused.result, "permission" in refused.error) == ("rejected", True), refused.error


def test_a_watch_that_is_cut_says_so_and_can_begin_again(redis, connect):
    sink = connect(redis)
    done(sink.watch())
    redis.kill()
    wait_until(lambda: sink.changes().result == "retry", "the loss is told")
    redis.start()
    done(sink.watch())
    redis.client().publish("logfold:shop:flags", HASH)
    assert wait_until(lambda: done(sink.changes()).told, "the change is told")


def test_a_watched_server_that_falls_silent_is_noticed(redis, connect):
    sink = connect(redis)
    done(sink.watch())
    redis.freeze()
    lost = wait_until(lambda: (a := sink.changes()).result == "retry" and a, "the silence is told")
    assert "silent" in lost.error


def test_the_state_is_memory_and_its_limit(redis, connect):
    sink = connect(redis)
    state = done(sink.state())
    assert state.used > 0 and state.limit == -1
    redis.client().config_set("maxmemory", 10 ** 9)
    assert done(sink.state()).limit == 10 ** 9


# ---- Cluster ----

def spread(cluster):
    """A hash for each node."""
    found = {}
    for n in range(1000):
        found.setdefault(cluster.node_of(key_of(f"{n:032x}")), f"{n:032x}")
        if len(found) == 3:
            return found
    return None


def test_keys_that_move_between_masters_stay_exact(redis_cluster, connect):
    one, two = connect(redis_cluster, ONE), connect(redis_cluster, TWO)
    send(one, 1, 0, 0, 0, 0)
    send(two, 10, 0, 0, 0, 0)
    slot = redis_cluster.slot_of(key_of())
    source = redis_cluster.node_of(key_of())
    target = next(node for node in redis_cluster.nodes if node is not source)
    redis_cluster.begin_move(slot, source, target)
    send(one, 2, 0, 0, 0, 0)                     # still there
    send(one, 5, 0, 0, 0, 0, namespace="new")    # ASK: what is not there is begun at the target
    redis_cluster.move_keys(slot, source, target)
    send(two, 20, 0, 0, 0, 0)                    # ASK, with a script that the target may not know
    assert entries(one)[HASH]["countTotal"] == 22
    redis_cluster.end_move(slot, target)
    send(one, 3, 0, 0, 0, 0)                     # MOVED
    send(two, 30, 0, 0, 0, 0)
    assert target.client().hget(key_of(), "countTotal") == "33"
    assert target.client().hget(key_of(namespace="new"), "countTotal") == "5"
    assert entries(two)[HASH]["countTotal"] == 33


def test_a_master_that_is_lost_costs_only_its_own_entries_and_comes_back(redis_cluster, connect):
    sink, hashes = connect(redis_cluster), spread(redis_cluster)
    for node in redis_cluster.nodes:
        node.client().config_set("cluster-require-full-coverage", "no")
    before = done(sink.hello())
    lost = redis_cluster.nodes[0]  # that of the URL
    lost.kill()
    for hash in hashes.values():
        sink.record(hash=hash, share={ONE: (4, 0, 0, 0, 0)})
    failed = sink.flush(timeout=5000)
    assert failed.result == "retry" and str(lost.port) in failed.error, failed.error
    for node, hash in hashes.items():
        if node is not lost:
            assert node.client().hget(key_of(hash), "countTotal") == "4"
    lost.start()
    redis_cluster.settled()
    wait_until(lambda: sink.hello().result == "done", "the cluster is whole again")
    assert done(sink.hello()).epoch != before.epoch
    for hash in hashes.values():
        send(sink, 5, 0, 0, 0, 0, hash=hash)
    assert {entry["countTotal"] for entry in entries(sink).values()} == {5}


def test_a_master_that_was_set_up_anew_is_not_asked_where_the_others_are(redis_cluster, connect):
    sink, hashes = connect(redis_cluster), spread(redis_cluster)
    first, second, third = redis_cluster.nodes
    for node in redis_cluster.nodes:
        node.client().config_set("cluster-require-full-coverage", "no")
    first.kill()  # that of the URL: the next to be asked is one that knows no cluster any more
    second.client().flushall()
    second.client().execute_command("CLUSTER", "RESET", "HARD")
    assert sink.hello().result == "retry"
    sink.record(hash=hashes[first], share={ONE: (4, 0, 0, 0, 0)})
    sink.record(hash=hashes[third], share={ONE: (4, 0, 0, 0, 0)})
    assert sink.flush().result == "retry"
    assert third.client().hget(key_of(hashes[third]), "countTotal") == "4"


def test_a_frozen_master_does_not_keep_the_others_from_theirs(redis_cluster, connect):
    sink, hashes = connect(redis_cluster), spread(redis_cluster)
    for hash in hashes.values():
        send(sink, hash=hash)
    frozen = redis_cluster.nodes[1]
    frozen.freeze()
    for hash in hashes.values():
        sink.record(hash=hash, share={ONE: (4, 0, 0, 0, 0)})
    failed = sink.flush(timeout=2000)
    assert failed.result == "retry" and str(frozen.port) in failed.error, failed.error
    for node, hash in hashes.items():
        if node is not frozen:
            assert node.client().hget(key_of(hash), "countTotal") == "4"
    frozen.resume()
    for hash in hashes.values():
        send(sink, 5, 0, 0, 0, 0, hash=hash)


def test_a_flag_that_is_published_on_any_node_is_told(redis_cluster, connect):
    sink = connect(redis_cluster)
    done(sink.watch())
    for node in redis_cluster.nodes:
        node.client().publish("logfold:shop:flags", HASH)
        assert wait_until(lambda: done(sink.changes()).told, "the change is told")


# ---- Failures ----

def one_sentence(answer, result, *parts):
    assert answer.result == result, answer.error
    for part in parts:
        assert part in answer.error, answer.error
    assert "\n" not in answer.error and "secret" not in answer.error


@pytest.mark.parametrize("call", ["hello", "flush", "evict", "read", "watch", "state"])
@pytest.mark.parametrize("connected", [True, False])
def test_every_call_ends_in_time_when_the_server_is_frozen(call, connected, redis, sinks):
    sink = sinks(uri=redis.url, ttl_s=60, connect_timeout_ms=10000)
    if connected:
        done(sink.hello())
    redis.freeze()
    sink.record(hash=HASH, share={ONE: (1, 0, 0, 0, 0)})
    one_sentence(getattr(sink, call)(timeout=150), "retry", f":{redis.port}", "in time")


def test_a_server_that_was_restarted_is_found_again_without_a_failure(redis, connect):
    sink = connect(redis)
    send(sink)
    redis.restart()
    send(sink, 3, 0, 0, 0, 0)
    redis.client().script_flush()
    send(sink, 4, 0, 0, 0, 0)
    assert redis.client().hget(key_of(), "countTotal") == "4"


def failing(server, **options):
    return {"uri": server.url, "ttl_s": 60, "connect_timeout_ms": 3000} | options


def test_a_wrong_password_or_user_is_rejected(redis_server, sinks):
    server = redis_server(user=("who", "right"))
    for uri, password in ((server.url_as("who", "secret"), ""), (server.url_as("other", "right"), ""),
                          (server.url_as("who", "right"), "secret")):
        sink = sinks(**failing(server, uri=uri, password=password))
        one_sentence(sink.hello(), "rejected", f"127.0.0.1:{server.port}", "password")
    sink = sinks(**failing(server, uri=server.url_as()))
    one_sentence(sink.hello(), "rejected", "wants a password", "agent.toml")
    sink = sinks(**failing(server, uri=server.url_as("who", "secret"), password="right"))
    done(sink.hello())


def test_a_password_where_none_is_set_is_rejected(redis, sinks):
    sink = sinks(**failing(redis, uri=redis.url_as(None, "secret")))
    one_sentence(sink.hello(), "rejected", "no password")


def test_a_missing_permission_is_rejected_and_writes_nothing_by_halves(redis_server, connect):
    server = redis_server(user=("who", "pw", "~*", "&*", "+@all"))
    sink, client = connect(server), server.client()
    client.acl_setuser("reader", enabled=True, nopass=True, keys=["*"], commands=["+@all"])
    client.execute_command("ACL", "SETUSER", "who", "-hset")
    sink.record(hash=HASH, share={ONE: (4, 0, 0, 0, 0)}, version=1, flagsChanged=1)
    one_sentence(sink.flush(), "rejected", "permission", "ACL SETUSER")
    assert not client.exists(key_of())
    client.execute_command("ACL", "SETUSER", "who", "+hset")
    send(sink, 5, 0, 0, 0, 0)
    assert client.hget(key_of(), "countTotal") == "5"


def test_a_certificate_that_nobody_vouches_for_is_rejected(redis_server, sinks, tmp_path):
    server, other = redis_server(tls=True), Authority(tmp_path, "other")
    cases = (({"tls_ca_file": other.file}, "not trusted"), ({}, "not trusted"),
             ({"tls_ca_file": tmp_path / "none"}, "tls_ca_file"),
             ({"tls_ca_file": server.ca.file, "tls_certificate_file": tmp_path / "none"},
              "tls_certificate_file"))
    for files, part in cases:
        one_sentence(sinks(**failing(server, **files)).hello(), "rejected", part)


def test_a_certificate_of_another_host_is_rejected(redis_server, sinks):
    server = redis_server(tls=True)
    uri = f"rediss://127.0.0.2:{server.port}"
    server.client().config_set("bind", "127.0.0.1 127.0.0.2")
    sink = sinks(**failing(server, uri=uri, tls_ca_file=server.ca.file))
    one_sentence(sink.hello(), "rejected", "not trusted", "mismatch")
    uri = f"rediss://localhost:{server.port}"
    done(sinks(**failing(server, uri=uri, tls_ca_file=server.ca.file)).hello())


def test_a_server_that_wants_our_certificate_gets_it_or_says_so(redis_server, sinks):
    server = redis_server(tls=True)
    pair = server.ca.issue("client")
    server.client().config_set("tls-auth-clients", "yes")
    options = failing(server, tls_ca_file=server.ca.file)
    one_sentence(sinks(**options).hello(), "rejected", "tls_certificate_file")
    done(sinks(**options, tls_certificate_file=pair.certificate,
               tls_key_file=pair.key).hello())


def test_plain_text_to_a_tls_port_and_the_reverse_are_told(redis_server, sinks):
    tls, plain = redis_server(tls=True), redis_server()
    sink = sinks(**failing(tls, uri=f"redis://127.0.0.1:{tls.port}"))
    one_sentence(sink.hello(), "retry", "rediss://", str(tls.port))
    sink = sinks(**failing(plain, uri=f"rediss://127.0.0.1:{plain.port}"))
    one_sentence(sink.hello(timeout=300), "retry", "redis://", str(plain.port))


def test_something_that_is_no_redis_is_told(sinks):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer():
            with server.accept()[0] as peer:
                peer.recv(100)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        other = threading.Thread(target=answer)
        other.start()
        sink = sinks(uri=f"redis://127.0.0.1:{port}", ttl_s=60)
        one_sentence(sink.hello(timeout=5000), "rejected", str(port), "does not speak")
        other.join()


def test_an_answer_without_end_costs_no_memory_without_end(sinks):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, sent = server.getsockname()[1], []

        def answer():
            with server.accept()[0] as peer, contextlib.suppress(OSError):
                peer.recv(100)
                peer.sendall(b"$9000000000000000\r\n")
                while len(sent) < 1000:
                    peer.sendall(bytes(1 << 20))
                    sent.append(1)

        other = threading.Thread(target=answer)
        other.start()
        sink = sinks(uri=f"redis://127.0.0.1:{port}", ttl_s=60)
        one_sentence(sink.hello(timeout=120000), "rejected", str(port), "MiB")
        other.join()
        assert len(sent) < 200


def test_a_host_that_is_unknown_or_away_is_tried_again(sinks, tmp_path):
    port = free_port()
    for uri, part in (("redis://no-such-host.invalid", "no-such-host.invalid"),
                      (f"redis://127.0.0.1:{port}", f"127.0.0.1:{port}"),
                      (f"unix://{tmp_path}/none.sock", f"{tmp_path}/none.sock")):
        sink = sinks(uri=uri, ttl_s=60, connect_timeout_ms=2000)
        one_sentence(sink.hello(timeout=3000), "retry", part)


def test_a_database_that_is_not_there_is_rejected(redis, redis_server, sinks):
    one_sentence(sinks(**failing(redis, uri=redis.url + "/99")).hello(), "rejected",
                 "database")
    sink = sinks(**failing(redis, uri=redis.url + "/3"))
    done(sink.hello())
    send(sink)
    assert redis.client(db=3).exists(key_of())


def test_a_full_server_is_named_as_full_and_takes_it_later(redis, connect):
    sink, client = connect(redis), redis.client()
    send(sink)
    client.config_set("maxmemory", 1)
    sink.record(hash=HASH, share={ONE: (4, 0, 0, 0, 0)})
    one_sentence(sink.flush(), "retry", "maxmemory")
    sink.record(hash=HASH, share={ONE: (4, 0, 0, 0, 0)})
    done(sink.evict())
    client.config_set("maxmemory", 0)
    send(sink, 4, 0, 0, 0, 0)
    assert client.hget(key_of(), "countTotal") == "4"


@pytest.mark.parametrize("options, part", [
    ({"uri": "redis://who@h"}, "without a password"),
    ({"uri": "http://h"}, "rediss://"),
    ({"uri": "redis://h", "tls_ca_file": "ca.pem"}, "rediss://"),
    ({"uri": "rediss://h", "tls_key_file": "k.pem"}, "tls_certificate_file"),
    ({"uri": "redis://u:secret@"}, "host")])
def test_options_that_cannot_be_are_refused_at_once(options, part, sinks):
    one_sentence(sinks(ttl_s=60, **options).opened, "rejected", part)
