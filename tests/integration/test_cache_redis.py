"""The cache's tier in Redis, against real servers; what it wrote is looked at by redis-py."""

import contextlib
import os
import shutil
import struct
import subprocess
import sys
import time

import pytest
import redis as redis_py
from certificates import Authority
from conftest import DEADLINE_S, wait_until
from server_process import free_port
from servers_redis import *  # noqa: F403
from tier_driver import *  # noqa: F403
from tier_driver import Record

SCOPE = "app:test:"
SPACE = SCOPE + "user:acme:"
KEY = SPACE + "7"
TAG = SCOPE + "%tag:acme:a"
CHANNEL = "logfold-cache:" + SCOPE
FAR = 99999999999999       # a point in time
STRING, GONE = 1, 4        # types of records
SOON_MS = 1500             # a call that waits for nothing, on a busy machine
SILENCE_MS = 2 * 2000      # how long a dead server goes unnoticed by who only listens


@pytest.fixture
def tier(tiers, redis):
    return tiers("redis", url=redis.url)


@pytest.fixture
def raw(redis):
    """A client for bytes."""
    with contextlib.closing(redis_py.Redis("127.0.0.1", redis.port)) as client:
        yield client


def message(writer, kind, version, name):
    clock, other = version
    return struct.pack(">Q", writer) + kind + struct.pack(">QQ", clock, other) + name.encode()


# --- records -----------------------------------------------------------------------------------


def test_what_was_stored_is_loaded_as_it_was(tier):
    value = bytes(range(256)) * 3
    assert tier.store(KEY, (5, 9), value, f"expires={FAR}")
    assert tier.store(KEY + "gone", 6, b"", f"type={GONE}")
    assert tier.load(KEY, KEY + "0", KEY + "gone") == {
        KEY: Record((5, 9), STRING, FAR, value), KEY + "0": None,
        KEY + "gone": Record((6, 0), GONE, 0, b"")}
    assert tier.value(KEY) == value
    assert tier.value(KEY + "0") is None


def test_a_record_is_one_key_with_the_version_in_front(tier, raw):
    assert tier.store(KEY, (5, 2 ** 64 - 2), b"abc", f"expires={FAR}")
    there = raw.get(KEY)
    assert there[:18] == b"L\x01" + struct.pack(">QQ", 5, 2 ** 64 - 2)
    assert there.endswith(b"abc")
    assert raw.keys() == [KEY.encode()]


def test_a_record_goes_a_second_after_it_expired(tier, raw):
    assert tier.store(KEY, 1, b"", f"expires={FAR}")
    assert raw.execute_command("PEXPIRETIME", KEY) == FAR + 1000
    assert tier.store(KEY, 2, b"")
    assert raw.execute_command("PEXPIRETIME", KEY) == -1
    assert tier.store(KEY, 3, b"", f"expires={1000 * int(time.time()) - 5000}")
    assert tier.value(KEY) is None


def test_a_record_is_stored_if_it_is_newer_by_clock_then_by_writer(tier):
    assert tier.store(KEY, (2 ** 63, 200), b"first")
    for version in (0, 5, (2 ** 63, 199), (2 ** 63, 200)):
        assert not tier.store(KEY, version, b"older")
    assert tier.value(KEY) == b"first"
    for version in ((2 ** 63, 201), (2 ** 64 - 1, 0), (2 ** 64 - 1, 2 ** 64 - 1)):
        assert tier.store(KEY, version, b"newer")
    assert tier.load(KEY)[KEY].version == (2 ** 64 - 1, 2 ** 64 - 1)


def test_a_record_is_stored_if_that_version_is_there(tier):
    assert not tier.store(KEY, 5, b"a", "version=4")
    assert tier.store(KEY, 5, b"a", "version=0")
    assert not tier.store(KEY, 6, b"b", "version=0")
    assert not tier.store(KEY, 6, b"b", "version=5.1")
    assert tier.store(KEY, 6, b"b", "version=5")
    assert tier.value(KEY) == b"b"


def test_more_records_than_fit_a_batch_are_stored_and_loaded_each_by_itself(tier):
    assert tier.store(SPACE + "300", 9, b"newer")
    assert tier.fill(SPACE, 600, 5, 3) == 599
    found = tier.load(*(f"{SPACE}{i}" for i in range(601)))
    assert found[SPACE + "300"].value == b"newer"
    assert found[SPACE + "600"] is None
    assert [r.value for r in found.values() if r].count(bytes(3)) == 599


def test_a_large_value_comes_back_whole(tiers, redis):
    tier = tiers("redis", url=redis.url, value_max=500000)
    assert tier.store(KEY, 1, b"", "size=500000")
    assert tier.value(KEY) == b"x" * 500000


def test_values_are_kept_compressed_where_that_was_asked_for(tiers, redis, raw):
    tier = tiers("redis", url=redis.url, compress_min=1000)
    assert tier.store(KEY, 1, b"", "size=100000")
    assert raw.strlen(KEY) < 1000
    assert tier.value(KEY) == b"x" * 100000


@pytest.mark.parametrize("junk", [b"", b"L", b"L\x01" + bytes(16), b"L\x01" + b"\xff" * 99])
def test_what_is_no_record_counts_as_nothing_and_gives_way(tier, raw, junk):
    raw.set(KEY, junk)
    assert tier.load(KEY, KEY) == {KEY: None}
    assert tier.store(KEY, 1, b"good", "version=0")
    assert tier.value(KEY) == b"good"


def test_a_key_of_another_type_counts_as_nothing_and_gives_way(tier, raw):
    raw.rpush(KEY, "a list")
    raw.rpush(TAG, "a list")
    assert tier.value(KEY) is None
    assert tier.load(KEY, KEY) == {KEY: None}
    assert tier.store(KEY, 1, b"good", "version=0")
    assert tier.value(KEY) == b"good"
    assert tier.stamps(TAG) == [0]
    assert tier.raise_to(3, TAG) == [3]


# --- stamps ------------------------------------------------------------------------------------


def test_stamps_rise_and_never_fall(tier, raw):
    assert tier.stamps(TAG) == [0]
    for number in (9, 10, 2 ** 63 + 1, 2 ** 63 + 2, 2 ** 64 - 1):   # the third and the fourth are one double
        assert tier.raise_to(number, TAG) == [number]
        assert raw.get(TAG) == str(number).encode()
    assert tier.raise_to(2 ** 64 - 1, TAG) == [2 ** 64 - 1]
    assert tier.raise_to(99, TAG, TAG + "2") == [2 ** 64 - 1, 99]
    assert tier.stamps(TAG, TAG + "3", TAG + "2") == [2 ** 64 - 1, 0, 99]
    assert raw.ttl(TAG) == -1


def test_more_stamps_than_fit_a_batch_are_raised(tier):
    names = [f"{TAG}{i}" for i in range(600)]
    assert tier.raise_to(7, *names) == [7] * 600
    assert tier.stamps(*names) == [7] * 600


# --- scan and drop -----------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 7, 100, 1000])
def test_a_scan_finds_the_records_of_a_prefix_and_nothing_else(tier, raw, most):
    tier.fill(SPACE, 300, 1)
    tier.fill(SCOPE + "user:other:", 50, 1)
    tier.fill(SCOPE + "%20:a:", 5, 1)
    tier.raise_to(1, TAG)
    tier.lock(KEY)
    tier.ping()
    raw.set("somebody:else", "x")
    calls, largest, keys = tier.scan(SPACE, most)
    assert largest <= most
    assert calls >= 300 / most
    assert set(keys) == {f"{SPACE}{i}" for i in range(300)}
    assert len(set(tier.scan(SCOPE, most)[2])) == 355


def test_a_scan_of_nothing_ends(tier, raw):
    assert tier.scan(SPACE)[2] == []
    raw.mset({f"other:{i}": "" for i in range(2000)})
    assert tier.scan(SPACE, 10)[2] == []


def test_a_drop_takes_what_is_no_newer_and_leaves_the_rest(tier, raw):
    tier.fill(SPACE + "a", 1500, 2 ** 63)
    tier.fill(SPACE + "b", 10, 2 ** 63)
    tier.store(SPACE + "anew", (2 ** 63 + 1, 0), b"")
    tier.store(SPACE + "aold", (2 ** 63 - 1, 2 ** 64 - 1), b"")
    raw.set(SPACE + "ajunk", "junk")
    raw.rpush(SPACE + "alist", "junk")
    tier.drop(SPACE + "a", 2 ** 63)
    assert set(tier.scan(SPACE)[2]) == {SPACE + "anew", *(f"{SPACE}b{i}" for i in range(10))}


# --- locks -------------------------------------------------------------------------------------


def test_one_has_the_lock_of_a_key_until_it_gives_it_back(tiers, redis):
    one, two = (tiers("redis", url=redis.url, writer=writer) for writer in (1, 2))
    token = one.lock(KEY)
    assert token > 0
    assert two.lock(KEY) == 0
    assert two.lock(KEY + "1") > token
    two.unlock(KEY, token)
    assert two.lock(KEY) == 0
    one.unlock(KEY, token + 9)
    assert two.lock(KEY) == 0
    one.unlock(KEY, token)
    assert two.lock(KEY) > token


def test_a_lock_ends_by_itself(tier, raw):
    assert tier.lock(KEY, 60000) > 0
    assert 50000 < raw.pttl(f"{{{KEY}}}#lock") <= 60000
    assert tier.lock(KEY + "1", 50) > 0
    wait_until(lambda: tier.lock(KEY + "1", 50) > 0, "the lock ends")


def test_what_is_stored_under_a_lock_is_so_only_while_it_is_held(tiers, redis):
    one, two = (tiers("redis", url=redis.url, writer=writer) for writer in (1, 2))
    token = one.lock(KEY)
    assert not two.store(KEY, 5, b"other", f"locked={token}")
    assert not one.store(KEY, 5, b"other", f"locked={token + 1}")
    assert one.store(KEY, 5, b"mine", f"locked={token}")
    assert not one.store(KEY, 4, b"older", f"locked={token}")
    one.unlock(KEY, token)
    assert not one.store(KEY, 6, b"late", f"locked={token}")
    assert one.value(KEY) == b"mine"


# --- the channel -------------------------------------------------------------------------------


def test_others_are_told_what_changed_and_one_is_not_told_of_oneself(tiers, redis):
    one, two = (tiers("redis", url=redis.url, writer=writer) for writer in (1, 2))
    two.watch()
    two.store(KEY + "own", 1, b"")
    assert one.store(KEY, (5, 1), b"a")
    assert not one.store(KEY, (4, 1), b"a")
    one.raise_to(2 ** 64 - 1, TAG)
    one.raise_to(7, TAG)
    one.fill(SPACE + "f", 2, 6)
    one.drop(SPACE + "f", 9)
    assert two.hear(5) == [("key", KEY, (5, 1)), ("stamp", TAG, (2 ** 64 - 1, 1)),
                           ("key", SPACE + "f0", (6, 0)), ("key", SPACE + "f1", (6, 0)),
                           ("prefix", SPACE + "f", (9, 1))]
    assert two.changes(50) == []


def test_messages_are_what_they_are_said_to_be(tier, raw):
    heard = raw.pubsub()
    heard.subscribe(CHANNEL)
    assert heard.get_message(timeout=DEADLINE_S)["type"] == "subscribe"
    tier.store(KEY, (5, 2 ** 64 - 1), b"a")
    tier.raise_to(7, TAG)
    tier.drop(SPACE, 8)
    for expected in (message(1, b"k", (5, 2 ** 64 - 1), KEY), message(1, b"s", (7, 1), TAG),
                     message(1, b"p", (8, 1), SPACE)):
        assert heard.get_message(timeout=DEADLINE_S)["data"] == expected
    tier.watch()
    raw.publish(CHANNEL, message(9, b"k", (5, 6), KEY))
    for junk in (b"", b"hello", message(9, b"x", (5, 6), KEY), message(9, b"k", (5, 6), "")):
        raw.publish(CHANNEL, junk)
    assert tier.hear(5) == [("key", KEY, (5, 6))] + 4 * [("unknown", "", (0, 0))]


def test_who_listens_is_woken_at_once(tier):
    tier.watch()
    assert tier.ask("woken", deadline_ms=60000).ms < SOON_MS
    assert tier.ask("changes", deadline_ms=100).ms >= 100


def test_a_lost_channel_is_told_and_can_be_had_again(tiers, redis, raw):
    tier = tiers("redis", url=redis.url, writer=2)
    assert tier.ask("changes").result == "away"
    tier.watch()
    tier.start("changes", deadline_ms=60000)
    wait_until(lambda: raw.pubsub_numsub(CHANNEL)[0][1] == 1, "it listens")
    raw.client_kill_filter(_type="pubsub")
    lost = tier.answer()
    assert (lost.result, "closed the connection" in lost.why) == ("away", True)
    tier.watch()
    raw.publish(CHANNEL, message(9, b"k", (5, 6), KEY))
    assert tier.hear(1) == [("key", KEY, (5, 6))]


def test_a_server_that_fell_silent_is_noticed_by_who_listens_and_one_that_lives_is_kept(tiers, redis_server):
    silent, alive = redis_server(), redis_server()
    one, two = (tiers("redis", url=server.url) for server in (silent, alive))
    for listening in (one, two):
        listening.watch()
    silent.freeze()
    one.start("changes", deadline_ms=60000)
    two.start("changes", deadline_ms=SILENCE_MS + 500)
    answer = one.answer()
    silent.resume()
    assert (answer.result, "fell silent" in answer.why) == ("away", True)
    # The silence began before the call did, which waited until the other one was watched and the server stood still.
    assert SILENCE_MS - SOON_MS <= answer.ms < SILENCE_MS + SOON_MS
    assert two.answer().result == "done"


# --- which server it is ------------------------------------------------------------------------


def test_the_mark_changes_when_the_server_was_emptied_or_started_anew(tiers, redis, raw):
    one, two = (tiers("redis", url=redis.url, writer=writer) for writer in (1, 2))
    marks = [one.ping()]
    assert one.ping() == two.ping() == marks[0]
    raw.flushall()
    marks.append(one.ping())
    assert one.ping() == two.ping()
    epoch = raw.get(SCOPE + "%epoch")
    redis.restart()
    with contextlib.closing(redis_py.Redis("127.0.0.1", redis.port)) as again:
        again.set(SCOPE + "%epoch", epoch)
    marks.append(two.ping())
    assert len(set(marks)) == 3


# --- failures ----------------------------------------------------------------------------------


COMMANDS = [("ping",), ("load", KEY), ("load", KEY, KEY + "2"), ("store", KEY, "1", "00"), ("stamps", TAG),
            ("raise", "5", TAG), ("scan", SPACE, "10"), ("drop", SPACE, "9"), ("lock", KEY, "1000"),
            ("unlock", KEY, "1"), ("watch",), ("info",)]


def test_a_server_that_is_not_there_is_away_at_once(tiers):
    tier = tiers("redis", url=f"redis://127.0.0.1:{free_port()}")
    for command in COMMANDS:
        answer = tier.ask(*command, deadline_ms=60000)
        assert (answer.result, "Connection refused" in answer.why) == ("away", True), (command, answer)
        assert answer.ms < SOON_MS


def test_every_call_to_a_frozen_server_ends_by_its_deadline(tier, redis):
    for command in COMMANDS:
        assert tier.ask(*command).result == "done"
    redis.freeze()
    for command in COMMANDS:
        answer = tier.ask(*command, deadline_ms=100)
        assert answer.result == "away", (command, answer)
        assert 100 <= answer.ms < 100 + SOON_MS
    redis.resume()
    assert tier.value(KEY) is None


def test_calls_find_a_restarted_server_by_themselves(tier, redis):
    for command in COMMANDS:
        assert tier.ask(*command).result == "done"
        redis.restart()
        assert tier.ask(*command).result == "done", command
    assert tier.info()["reconnects"] >= len(COMMANDS) - 1
    redis.kill()
    assert tier.ask("load", KEY).result == "away"
    redis.start()
    assert tier.value(KEY) is None


def test_scripts_that_were_forgotten_are_loaded_again(tier, raw):
    token = tier.lock(KEY)
    raw.script_flush()
    assert tier.store(KEY, 1, b"a")
    raw.script_flush()
    assert tier.raise_to(5, TAG) == [5]
    raw.script_flush()
    tier.unlock(KEY, token)
    assert tier.lock(KEY) > token
    raw.script_flush()
    tier.drop(SPACE, 1)
    assert tier.value(KEY) is None


def test_a_full_server_refuses_to_store_and_still_answers(tier, raw):
    assert tier.store(KEY, 1, b"kept")
    mark = tier.ping()
    raw.config_set("maxmemory", 1)
    for command in (("store", KEY, "2", "00"), ("raise", "5", TAG), ("lock", KEY, "1000")):
        answer = tier.ask(*command)
        assert (answer.result, "raise maxmemory" in answer.why) == ("full", True), answer
    assert tier.value(KEY) == b"kept"
    assert tier.ping() == mark
    assert tier.info()["limit"] == 1
    tier.drop(SPACE, 1)
    raw.config_set("maxmemory", 0)
    assert tier.value(KEY) is None
    assert tier.info()["limit"] == 0


def test_a_replica_takes_no_writes_and_is_away(tier, redis, raw):
    raw.replicaof("127.0.0.1", free_port())
    assert tier.ask("store", KEY, "1", "00").result == "away"
    assert tier.ask("ping").result == "away"


def test_a_wrong_password_is_rejected_and_not_repeated(tiers, redis_server):
    server = redis_server(user=("who", "right"))
    for how in ({"url": server.url_as("who", "geheim")}, {"url": server.url, "password": "geheim"},
                {"url": server.url_as()}):
        tier = tiers("redis", **how)
        for command in COMMANDS:
            answer = tier.ask(*command)
            assert answer.result == "rejected", answer
            assert "password" in answer.why
            assert "geheim" not in answer.why
    assert tiers("redis", url=server.url_as("who", "geheim"), password="right").store(KEY, 1, b"a")


def test_a_user_with_the_scope_and_the_channel_may_do_all(tiers, redis_server):
    server = redis_server(user=("who", "pw", f"~{SCOPE}*", f"~{{{SCOPE}*", f"&{CHANNEL}", "+@all"))
    tier = tiers("redis", url=server.url)
    for command in COMMANDS:
        assert tier.ask(*command).result == "done", command


def test_who_may_not_tell_others_changes_nothing(tiers, redis_server):
    server = redis_server(user=("who", "pw", "~*", "+@all", "resetchannels"))
    tier = tiers("redis", url=server.url)
    for command in (("store", KEY, "1", "00"), ("raise", "5", TAG), ("drop", SPACE, "9"), ("watch",)):
        answer = tier.ask(*command)
        assert (answer.result, "ACL SETUSER" in answer.why) == ("rejected", True), answer
    assert tier.value(KEY) is None
    assert tier.stamps(TAG) == [0]


def test_keys_that_the_user_may_not_touch_are_rejected(tiers, redis_server):
    server = redis_server(user=("who", "pw", "~other:*", "&*", "+@all"))
    tier = tiers("redis", url=server.url)
    for command in (("load", KEY), ("load", KEY, KEY), ("store", KEY, "1", "00"), ("ping",), ("lock", KEY, "99")):
        assert tier.ask(*command).result == "rejected", command


# --- ways to it --------------------------------------------------------------------------------


def test_it_works_over_tls_and_trusts_no_other_authority(tiers, redis_server, tmp_path):
    server = redis_server(tls=True)
    tier = tiers("redis", url=server.url, ca=server.ca.file)
    assert tier.store(KEY, 1, b"", "size=100000")
    assert tier.value(KEY) == b"x" * 100000
    tier.watch()
    assert tier.ask("changes", deadline_ms=50).result == "done"
    other = tiers("redis", url=server.url, ca=Authority(tmp_path).file).ask("load", KEY)
    assert (other.result, "not trusted" in other.why) == ("rejected", True)


def test_it_works_over_a_unix_socket(tiers, redis):
    tier = tiers("redis", url=redis.unix_url)
    assert tier.store(KEY, 1, b"a")
    assert tier.scan(SPACE)[2] == [KEY]


@pytest.mark.parametrize("how, sentence", [
    ({"url": "http://x"}, "no known scheme"), ({"url": "redis://who@x"}, "without a password"),
    ({"url": "redis://x", "ca": "/x"}, "rediss://"), ({"url": "rediss://x", "key": "/x"}, "tls_certificate_file")])
def test_options_that_cannot_be_are_refused(tiers, how, sentence):
    tier = tiers("redis", **how)
    assert not tier.opened
    tier.close()
    assert sentence in tier.log.read_text()


# A cache by the environment alone: it is opened, waits for its input to end, and is closed.
PROGRAM = """
import ctypes, sys
cache = ctypes.CDLL(sys.argv[1])
options, err = ctypes.create_string_buffer(1 << 16), ctypes.create_string_buffer(512)
keep, opened = ctypes.c_void_p(), ctypes.c_void_p()
cache.lf_cache_options_init(options)
if (cache.lf_cache_options_environment(options, ctypes.byref(keep), err) or
        cache.lf_cache_open(ctypes.byref(opened), options, err)):
    sys.exit(err.value.decode())
sys.stdin.read()
cache.lf_cache_close(opened)
"""


def test_the_module_is_found_beside_the_library_that_a_program_links(build, redis, raw, tmp_path):
    library = shutil.copy(build / "liblogfold-cache.so.1", tmp_path)
    env = {k: v for k, v in os.environ.items() if not k.startswith("LOGFOLD_")}
    env |= {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(redis.port)}
    command = [sys.executable, "-c", PROGRAM, library]
    done = subprocess.run(command, env=env, text=True, capture_output=True, timeout=DEADLINE_S, input="")
    assert "logfold-redis.so is neither beside liblogfold-cache.so.1 nor in" in done.stderr
    shutil.copy(build / "logfold-redis.so", tmp_path)
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE) as program:
        wait_until(lambda: any(client["name"].startswith("logfold-cache:") for client in raw.client_list()),
                   "the program's cache is at Redis")
        program.stdin.close()
        assert program.wait(timeout=DEADLINE_S) == 0


# --- many threads ------------------------------------------------------------------------------


def test_threads_share_at_most_so_many_connections(tiers, redis, raw):
    tier = tiers("redis", url=redis.url, pool_max=3)
    tier.store(KEY, 1, b"a")
    assert tier.must("storm", 16, 200, KEY, deadline_ms=30000) == ["3200", "0", "0", "0"]
    ours = [client for client in raw.client_list() if client["name"].startswith("logfold-cache:" + SCOPE)]
    assert 1 <= len(ours) <= 3
    assert tier.info()["connections"] == len(ours)


def test_who_gets_no_connection_in_time_is_told_so(tiers, redis):
    tier = tiers("redis", url=redis.url, pool_max=1)
    tier.ping()
    redis.freeze()
    answer = tier.ask("storm", 8, 1, KEY, deadline_ms=300)
    redis.resume()
    assert answer.words == ["0", "8", "0", "0"]
    assert answer.ms < 300 + SOON_MS


# --- a cluster ---------------------------------------------------------------------------------


def test_all_of_it_works_in_a_cluster(tiers, redis_cluster):
    one, two = (tiers("redis", url=redis_cluster.url, writer=writer) for writer in (1, 2))
    two.watch()
    assert one.fill(SPACE, 300, 5, 10) == 300
    assert {name for _, name, _ in two.hear(300)} == {f"{SPACE}{i}" for i in range(300)}
    assert all(node.client().dbsize() for node in redis_cluster.nodes)
    assert set(one.load(*(f"{SPACE}{i}" for i in range(300))).values()) == {Record((5, 0), STRING, 0, bytes(10))}
    for most in (1, 50, 1000):
        calls, largest, keys = two.scan(SPACE, most)
        assert (set(keys), largest <= most) == ({f"{SPACE}{i}" for i in range(300)}, True)
    names = [f"{TAG}{i}" for i in range(20)]
    assert one.raise_to(2 ** 60, *names) == two.stamps(*names) == [2 ** 60] * 20
    assert len(two.hear(20)) == 20
    for i in range(20):
        token = one.lock(f"{SPACE}{i}")
        assert two.lock(f"{SPACE}{i}") == 0
        assert one.store(f"{SPACE}{i}", 6, b"locked", f"locked={token}")
        one.unlock(f"{SPACE}{i}", token)
        assert two.value(f"{SPACE}{i}") == b"locked"
    one.drop(SPACE, 5)
    assert set(two.scan(SPACE)[2]) == {f"{SPACE}{i}" for i in range(20)}
    mark = one.ping()
    assert mark == two.ping()
    redis_cluster.nodes[1].client().flushall()
    assert one.ping() != mark


def test_a_key_is_found_where_its_slot_went(tiers, redis_cluster):
    tier = tiers("redis", url=redis_cluster.url)
    assert tier.store(KEY, 5, b"a")
    slot, source = redis_cluster.slot_of(KEY), redis_cluster.node_of(KEY)
    target = next(node for node in redis_cluster.nodes if node is not source)
    redis_cluster.begin_move(slot, source, target)
    assert tier.value(KEY) == b"a"
    redis_cluster.move_keys(slot, source, target)
    assert tier.value(KEY) == b"a"
    assert tier.store(KEY, 6, b"b")
    redis_cluster.end_move(slot, target)
    assert tier.value(KEY) == b"b"
    assert tier.store(KEY, 7, b"c")
    assert tier.load(KEY, KEY)[KEY].value == b"c"
