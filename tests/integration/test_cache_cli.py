"""`logfold cache`, and what the agent does with the same cache."""

import base64
import json
import socket
import sqlite3

import pytest
from conftest import DEADLINE_S, wait_until
from faulty_link import Link
from fleet import in_redis

NAMESPACE = "console-manager-entries"
HASH = "0123456789abcdef0123456789abcdef"
BYTES = bytes(range(256))
NO_HURRY = {"LOGFOLD_CACHE_DEADLINE_MS": "20000", "LOGFOLD_CACHE_SQLITE_TIMEOUT_MS": "20000"}


@pytest.fixture(autouse=True)
def no_hurry(logfold):
    """A slow machine is no failure."""
    logfold.env |= NO_HURRY


@pytest.fixture
def cache(logfold, tmp_path):
    """cache("get", "a") on a file of this test alone."""
    file = tmp_path / "cli.db"

    def run(task, *arguments, **how):
        return logfold("cache", task, "--file", file, *arguments, **how)
    run.file = file
    return run


def done(process, status=0):
    assert process.returncode == status, process.stderr
    return process.stdout


def last_line(process):
    """What it said in the end: how far it is, it says where it takes long."""
    return process.stderr.splitlines()[-1]


def misused(process, sentence):
    assert process.returncode == 64, process.stderr
    text = process.stderr if isinstance(process.stderr, str) else process.stderr.decode()
    assert text.startswith("logfold: cache: ") and sentence in text and text.count("\n") == 1, text


# --- values ---


def test_what_is_set_is_got_by_the_next_process_until_it_is_deleted(cache):
    assert done(cache("set", "a", "one")) == ""
    assert done(cache("get", "a")) == "one\n"
    assert done(cache("set", "a", "two")) == ""
    assert done(cache("get", "a")) == "two\n"
    assert done(cache("del", "a", "b")) == "1 deleted\n"
    nothing = cache("get", "a")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert nothing.stderr.startswith("logfold: there is no 'a' of type 'entry'"), nothing.stderr
    assert done(cache("del", "a"), status=1) == "0 deleted\n"


def test_types_organisations_and_applications_do_not_see_each_other(cache):
    done(cache("set", "a", "mine", "--type", "user", "--org", "acme"))
    for other in (("--type", "user"), ("--org", "acme"), ("--type", "user", "--org", "acme", "--app", "else"),
                  ("--type", "user", "--org", "acme", "--env", "else")):
        done(cache("get", "a", *other), status=1)
    assert done(cache("get", "a", "--type", "user", "--org", "acme")) == "mine\n"


def test_any_bytes_come_out_as_they_went_in(cache):
    done(cache("set", "b", input=BYTES, text=False))
    assert done(cache("get", "b", "--raw", text=False)) == BYTES
    shown = done(cache("get", "b", text=False))
    assert shown.endswith(b"\n") and shown.count(b"\n") == 1 and b"\x00" not in shown and b"\x1b" not in shown
    said = json.loads(done(cache("get", "b", "--json")))
    assert base64.b64decode(said["value"]["base64"]) == BYTES
    done(cache("set", "e", ""))
    assert done(cache("get", "e", "--raw")) == ""


def test_a_value_has_the_ttl_that_it_is_given(cache):
    done(cache("set", "a", "v", "--ttl", "2h"))
    said = json.loads(done(cache("get", "a", "--json")))
    assert (said["id"], said["value"], said["type"]) == ("a", "v", "string")
    assert 7000000 < said["ttlMs"] <= 7200000
    done(cache("set", "a", "v"))
    assert 3500000 < json.loads(done(cache("get", "a", "--json")))["ttlMs"] <= 3600000
    done(cache("set", "a", "v", "--ttl", "none"))
    assert "ttlMs" not in json.loads(done(cache("get", "a", "--json")))
    done(cache("set", "a", "v", "--ttl", "1ms"))
    wait_until(lambda: cache("get", "a").returncode == 1, "its time is over")


def test_a_critical_value_is_in_the_file_when_the_command_returns(cache):
    done(cache("set", "a", "v", "--critical"))
    with sqlite3.connect(f"file:{cache.file}?mode=ro", uri=True) as db:
        assert db.execute("SELECT count(*) FROM records").fetchone() == (1,)


# --- many at once ---


def test_invalidation_goes_by_tag_prefix_type_and_organisation(cache):
    spaces = {"mine": ["--type", "entry", "--org", NAMESPACE], "type": ["--type", "t"], "org": ["--org", "o"]}
    there = {"mine": {"a", "b", "user:1", "user:2", "c"}, "type": {"a", "z"}, "org": {"a", "x"}}
    tags = {"a": ["red", "big"], "b": ["blue"]}

    def ids(space):
        return {json.loads(line)["id"] for line in done(cache("export", *spaces[space])).splitlines()}

    for space, where in spaces.items():
        lines = [json.dumps({"id": one, "type": "string", "value": "v", "tags": tags.get(one, [])})
                 for one in there[space]]
        done(cache("import", "-", *where, input="\n".join(lines)))
    for how, gone in ((["--tag", "red"], {"mine": {"a"}, "type": {"a"}}),
                      (["--tag", "big", "--tag", "blue"], {"mine": {"b"}}),
                      (["--tag", "red", "--org", "o"], {"org": {"a"}}),
                      (["--prefix", "user:"], {"mine": {"user:1", "user:2"}}),
                      (["--type", "t"], {"type": {"z"}}),
                      (["--org", "o"], {"org": {"x"}}),
                      (spaces["mine"], {"mine": {"c"}})):
        done(cache("invalidate", *how))
        for space in spaces:
            there[space] -= gone.get(space, set())
            assert ids(space) == there[space], (how, space)


def test_an_export_is_imported_again_with_its_ttl(cache, tmp_path):
    done(cache("set", "a", "v", "--ttl", "2h", "--tag", "red"))
    done(cache("set", "b", input=BYTES, text=False))
    lines = done(cache("export"))
    assert {json.loads(line)["id"] for line in lines.splitlines()} == {"a", "b"}
    file = tmp_path / "lines"
    file.write_text(lines)
    done(cache("import", file, "--org", "copy"))
    assert done(cache("get", "b", "--raw", "--org", "copy", text=False)) == BYTES
    assert 7000000 < json.loads(done(cache("get", "a", "--json", "--org", "copy")))["ttlMs"] <= 7200000
    done(cache("invalidate", "--tag", "red", "--org", "copy"))
    done(cache("get", "a", "--org", "copy"), status=1)
    done(cache("import", "-", "--org", "again", input=lines))
    assert done(cache("get", "a", "--org", "again")) == "v\n"
    bad = cache("import", "-", input=lines + "{}\n")
    assert bad.returncode == 1 and "-:3: " in bad.stderr, bad.stderr
    assert cache("import", tmp_path / "nothing").returncode == 1


def test_warming_counts_what_it_found(cache):
    for i in range(3):
        done(cache("set", f"id{i}", "v"))
    all_of_it = cache("warm")
    assert done(all_of_it) == "" and last_line(all_of_it).startswith("logfold: done: 3"), all_of_it.stderr
    named = cache("warm", "-", input="id1\nid2\n\nnobody\n")
    assert done(named) == "" and last_line(named).startswith("logfold: done: "), named.stderr


# --- what is wrong ---


def test_misuse_is_one_sentence_and_64(cache, logfold):
    misused(logfold("cache", "frob"), "there is no 'cache frob'")
    misused(cache("get"), "something is missing: logfold cache get ID")
    misused(cache("get", "a", "b"), "'b' is too much")
    misused(cache("get", "a", "--ttl", "5s"), "get takes no --ttl")
    misused(cache("set", "a", "v", "--raw"), "set takes no --raw")
    misused(cache("invalidate"), "invalidate what")
    misused(cache("invalidate", "--tag", "a", "--prefix", "b"), "without --prefix")
    misused(cache("warm", "ids"), "stdin")
    for wrong in (["--ttl", "5"], ["--ttl", "x"], ["--type", ""], ["--org", "x" * 129], ["--tag", ""], ["--frob"],
                  ["--tag", "t"] * 33):
        refused = cache("set", "a", "v", *wrong)
        assert refused.returncode == 64 and refused.stderr.startswith("logfold: cache: "), (wrong, refused.stderr)
    assert logfold("cache").returncode == 64


def test_help_lists_every_task_and_option(logfold):
    text = done(logfold("cache", "--help"))
    for word in ("stats", "health", "get", "set", "del", "invalidate", "warm", "export", "import", "--file", "--redis",
                 "--mongo", "--app", "--env", "--type", "--org", "--ttl", "--tag", "--critical", "--raw", "--json"):
        assert word in text
    assert text == done(logfold("help", "cache"))


def test_what_cannot_be_done_is_told(cache, logfold, tmp_path):
    empty = cache("set", "", "v")
    assert empty.returncode == 1 and empty.stderr.startswith("logfold: ")
    config = tmp_path / "off.toml"
    config.write_text("[cache]\nenabled = false\n")
    off = logfold("cache", "get", "a", "-c", config)
    assert off.returncode == 1 and "cache.enabled" in off.stderr
    assert logfold("cache", "get", "a", "-c", tmp_path / "none.toml").returncode == 1


def test_a_value_that_nobody_keeps_is_not_set(logfold, tmp_path):
    away = ["--redis", "redis://127.0.0.1:1"]
    for task in (["set", "a", "v"], ["get", "a"], ["del", "a"], ["invalidate", "--tag", "t"], ["export"], ["warm"]):
        refused = logfold("cache", *task, *away)
        assert (refused.returncode, refused.stdout) == (1, ""), task
        assert "no tier of the cache is there: " in refused.stderr and "127.0.0.1:1" in refused.stderr, refused.stderr
    done(logfold("cache", "set", "a", "v", *away, "--file", tmp_path / "a.db"))
    config = tmp_path / "memory.toml"
    config.write_text("[cache]\nsqlite = false\n")
    alone = logfold("cache", "set", "a", "v", "-c", config)
    assert alone.returncode == 1 and "no tier but memory" in alone.stderr, alone.stderr
    assert logfold("cache", "stats", "--json", *away).returncode == 0


# --- stats and health ---


def when_healthy(process):
    """What it showed; nothing while a slow machine makes a slow cache."""
    return process.stdout if process.returncode == 0 else None


def test_stats_and_health_of_a_file(cache, logfold):
    done(cache("set", "a", "v"))
    stats = json.loads(done(cache("stats", "--json")))
    tiers = {tier["name"]: tier for tier in stats["tiers"]}
    assert stats["enabled"] is True
    assert (tiers["sqlite"]["state"], tiers["sqlite"]["items"], tiers["redis"]["state"]) == ("up", 1, "off")
    shown = done(cache("stats", env={"NO_COLOR": "1"})).splitlines()
    assert shown[0].startswith("hit rate ") and shown[1].split()[:2] == ["TIER", "STATE"]
    assert [line.split()[0] for line in shown[2:]] == ["memory", "sqlite"]
    shown = wait_until(lambda: when_healthy(cache("health")), lambda: cache("health").stdout).splitlines()
    assert shown[0] == "healthy" and len(shown) == 3
    shown = wait_until(lambda: when_healthy(cache("health", "--json")), lambda: cache("health").stdout)
    assert json.loads(shown)["state"] == "healthy"


def test_the_agent_is_asked_how_its_cache_is(agent):
    one = agent()
    stats = json.loads(done(one.ask("cache", "stats", "--json")))
    assert stats["hits"] == 0
    wait_until(lambda: json.loads(one.ask("cache", "health", "--json").stdout).get("enabled"), "it is open")
    shown = wait_until(lambda: when_healthy(one.ask("cache", "health")), lambda: one.ask("cache", "health").stdout)
    assert shown.startswith("healthy\nhealthy   memory  up\n")
    assert one.health()["cache"]["enabled"] is True
    assert "  cache  hit rate " in one.ask("health").stdout
    off = agent(cache={"enabled": False})
    assert off.health()["cache"] == {"state": "healthy", "enabled": False, "tiers": [],
                                     "reason": "the configuration says so"}
    assert off.ask("health").returncode == 0


# --- the agent's lookups ---


def find(one, entry_hash, namespace=NAMESPACE):
    """(the entry, where it was found), or None."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(DEADLINE_S)
        control.connect(str(one.run_dir / "control"))
        control.sendall(f"find {namespace} {entry_hash}\n".encode())
        answer = b"".join(iter(lambda: control.recv(65536), b"")).decode()
    if answer == "ok\n":
        return None
    _, entry, source = answer.splitlines()
    return json.loads(entry), source


def given(one, task, *arguments, **how):
    """`logfold cache`, on the cache of this agent."""
    return one._logfold("cache", task, "-c", one.file, *arguments, **how)


def test_the_agent_hears_what_the_command_changes(agent):
    one = agent()
    assert find(one, HASH) is None
    for version in (1, 2):
        done(given(one, "set", HASH, input=json.dumps({"v": version}) + "\n"))
        wait_until(lambda: find(one, HASH) == ({"v": version}, "memory"), lambda: find(one, HASH))
    done(given(one, "del", HASH))
    wait_until(lambda: find(one, HASH) is None, lambda: find(one, HASH))
    done(given(one, "set", HASH, "--tag", "t", input='{"v": 3}\n'))
    wait_until(lambda: find(one, HASH) == ({"v": 3}, "memory"), lambda: find(one, HASH))
    done(given(one, "invalidate", "--tag", "t"))
    wait_until(lambda: find(one, HASH) is None, lambda: find(one, HASH))


def test_what_an_agent_looked_up_survives_its_restart(agent):
    one = agent()
    done(given(one, "set", HASH, input='{"v": 1}\n'))
    wait_until(lambda: find(one, HASH), "it is there")
    one.kill()
    one.start()
    wait_until(lambda: one.ask("health").returncode < 2, "it answers")
    wait_until(lambda: find(one, HASH) == ({"v": 1}, "memory"), lambda: find(one, HASH))


@pytest.fixture
def two_hosts(agent, redis, build, tmp_path):
    """One whose program printed a message, one that looked it up in the fleet; and its hash."""
    first, second = agent(redis=redis), agent(redis=redis)
    first.host(build / "progs" / "chatter", "format", tmp_path / "a", 10)
    first.settled(10)
    (_, entry_hash), = first.counts()
    wait_until(lambda: list(in_redis(redis).values()) == [10], "it is in Redis")
    wait_until(lambda: (find(second, entry_hash) or [0, 0])[1] == "redis", "the second host finds it there")
    return first, second, entry_hash


def test_an_entry_that_only_the_fleet_knows_stays_when_redis_goes(two_hosts, redis):
    _, second, entry_hash = two_hosts
    assert find(second, entry_hash)[1] == "memory"
    redis.stop()
    wait_until(lambda: second.tier("redis")["down"], "it is noticed")
    entry, source = find(second, entry_hash)
    assert (entry["countTotal"], source) == (10, "memory")
    assert find(second, "f" * 32) is None


def test_a_third_host_finds_what_the_second_looked_up_in_the_fleets_cache(two_hosts, agent, redis):
    _, _, entry_hash = two_hosts
    third = agent(redis=redis, agent={"fallback": ["memory", "sqlite"]})
    wait_until(lambda: (find(third, entry_hash) or [0, 0])[1] == "memory", lambda: find(third, entry_hash))
    assert find(third, entry_hash)[0]["countTotal"] == 10


def test_a_flag_that_changes_takes_the_fleets_copy_away(two_hosts):
    first, second, entry_hash = two_hosts
    wait_until(lambda: given(second, "get", entry_hash).returncode == 0, "there is a copy")
    muted = first.ask("mute", entry_hash)
    assert muted.returncode == 0, muted.stderr
    wait_until(lambda: given(second, "get", entry_hash).returncode == 1, "the copy is gone")
    wait_until(lambda: find(second, entry_hash)[0]["enabled"] is False, lambda: find(second, entry_hash))


def test_a_server_that_is_slow_holds_up_neither_who_asks_nor_the_end(agent, logfold, redis):
    """However many flags have changed, whose copies there are then to be forgotten, one after the other."""
    logfold.env |= dict.fromkeys(NO_HURRY)
    link = Link(redis.port)
    try:
        one = agent(redis={"enabled": True, "url": f"redis://127.0.0.1:{link.port}"})
        one.host("sh", "-c", "for i in $(seq 250); do echo word $(printf %d $i | tr 0-9 a-j); done")
        one.settled(250)
        wait_until(lambda: len(in_redis(redis)) == 250 and one.health()["cache"].get("enabled"), "all is settled")
        link.delay(0.1)
        muted = one.ask("mute", *(entry_hash for _, entry_hash in one.counts()))
        assert muted.returncode == 0, muted.stderr
        wait_until(lambda: redis.client().keys("logfold-agent:*"), "it has begun")
        assert one.health()["tiers"][0]["name"] == "redis"
        assert one.stop() == 0
    finally:
        link.close()


def test_the_cache_is_for_so_many_namespaces(agent):
    """Who asks for one after the other does not fill the agent's memory."""
    one = agent()
    names = [f"name-{i}" for i in range(257)]
    for name in (names[0], names[256]):
        done(given(one, "set", HASH, "--org", name, input='{"v": 1}\n'))
    for name in names[1:256]:
        assert find(one, HASH, name) is None
    wait_until(lambda: find(one, HASH, names[0]) == ({"v": 1}, "memory"), "a name more")
    assert find(one, HASH, names[256]) is None
    assert find(one, HASH, names[0]) == ({"v": 1}, "memory")


def test_the_store_is_the_truth_for_what_it_has(two_hosts, build, tmp_path):
    first, second, entry_hash = two_hosts
    assert find(first, entry_hash)[1] == "sqlite"
    second.host(build / "progs" / "chatter", "format", tmp_path / "b", 3)
    second.settled(3)
    wait_until(lambda: find(second, entry_hash)[0]["countTotal"] == 3, lambda: find(second, entry_hash))


def test_places_that_are_left_out_are_not_asked(agent):
    one = agent(agent={"fallback": ["sqlite"]})
    done(given(one, "set", HASH, input='{"v": 1}\n'))
    assert find(one, HASH) is None


def test_a_wrong_address_takes_away_the_server_not_the_cache(agent, logfold):
    one = agent(mongo={"enabled": True, "uri": "mongodb://127.0.0.1/?retryWritess=true"})
    done(logfold("cache", "set", "--file", one.folder / "cache.db", "--app", "logfold-agent", HASH, input='{"v": 1}\n'))
    wait_until(lambda: find(one, HASH) == ({"v": 1}, "memory"), lambda: find(one, HASH))
    cache = one.health()["cache"]
    assert cache["state"] == "degraded" and "retrywritess" in cache["reason"].lower(), cache
    assert [tier["name"] for tier in cache["tiers"]] == ["memory", "sqlite"]
