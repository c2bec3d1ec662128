"""`logfold agent`: what the processes of a host print arrives in MongoDB and Redis, exactly; flags that are
set anywhere are obeyed everywhere."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import pytest
from fleet import in_mongo, in_redis
from conftest import DEADLINE_S, wait_until
from test_mute import Slow

NAMESPACE = "console-manager-entries"


@pytest.fixture
def chatter(build):
    return build / "progs" / "chatter"


def agree(agent, count, mongo=None, redis=None):
    """Waits until the store holds so many calls, and every tier the same for each entry."""
    agent.settled(count)
    counts = agent.counts()
    if mongo:
        wait_until(lambda: in_mongo(mongo) == counts,
                   lambda: f"MongoDB's entries {in_mongo(mongo)} to be {counts}; {agent.said()}")
        assert in_mongo(mongo, "counts") == counts
    if redis:
        wait_until(lambda: in_redis(redis) == counts,
                   lambda: f"Redis {in_redis(redis)} to be {counts}; {agent.said()}")


class TestLife:
    def test_it_drains_what_was_printed_before_it_came(self, agent, chatter, tmp_path):
        one = agent(start=False)
        one.host(chatter, "format", tmp_path / "p", 1000)
        one.start()
        one.settled(1000)

    def test_a_second_one_on_the_run_directory_is_refused(self, agent, logfold):
        one = agent()
        other = logfold("agent", "-c", one.file)
        assert other.returncode == 1
        assert re.fullmatch(r"logfold: run directory '.*' is in the hands of another agent.*\n",
                            other.stderr)
        assert one.health()["state"] == "healthy"

    @pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
    def test_on_its_end_all_that_was_printed_is_in_the_tiers(self, agent, mongo, redis, chatter,
                                                             tmp_path, how):
        one = agent(mongo=mongo, redis=redis,
                    agent={"drain_interval_ms": 60000, "flush_interval_ms": 60000})
        wait_until(lambda: all(t["connected"] for t in one.health()["tiers"]), "both connected")
        one.host(chatter, "format", tmp_path / "p", 500)
        one.process.send_signal(how)
        assert one.process.wait(timeout=DEADLINE_S) == 0
        counts = one.counts()
        assert list(counts.values()) == [500]
        assert in_mongo(mongo) == in_mongo(mongo, "counts") == in_redis(redis) == counts

    def test_it_tells_systemd_when_it_is_ready_reloads_and_stops(self, agent, logfold, tmp_path):
        one = agent(start=False)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notes:
            notes.bind(str(tmp_path / "notify"))
            notes.settimeout(DEADLINE_S)
            job = logfold.start("agent", "-c", one.file, env={"NOTIFY_SOCKET": tmp_path / "notify"},
                                stderr=subprocess.PIPE)
            assert notes.recv(200) == b"READY=1"
            job.send_signal(signal.SIGHUP)
            assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", notes.recv(200))
            assert notes.recv(200) == b"READY=1"
            job.send_signal(signal.SIGTERM)
            assert notes.recv(200) == b"STOPPING=1"
            assert job.wait(timeout=DEADLINE_S) == 0

    def test_a_bad_file_at_reload_is_told_and_the_old_one_stays(self, agent, redis, chatter, tmp_path):
        one = agent(redis=redis)
        one.file.write_text("[redis]\nenabled = true\nurll = 'x'\n")
        one.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the configuration in force stays" in one.said(), "the file is refused")
        assert re.search(r"agent\.toml:3: .*urll", one.said())
        one.host(chatter, "format", tmp_path / "p", 10)
        agree(one, 10, redis=redis)

    def test_a_reload_brings_a_tier_in_and_takes_it_out(self, agent, redis, chatter, tmp_path):
        one = agent()
        one.host(chatter, "format", tmp_path / "p", 10)
        one.reload(redis=redis)
        agree(one, 10, redis=redis)
        one.reload()
        wait_until(lambda: one.health()["tiers"] == [], "the tier is gone")

    def test_a_reload_does_not_wait_for_another_agent_that_sums(self, agent, mongo, chatter, tmp_path):
        one = agent(mongo=mongo, agent={"stop_timeout_ms": 3600000})
        one.host(chatter, "format", tmp_path / "a", 10)
        agree(one, 10, mongo)
        over = threading.Event()

        def hold():
            while not over.wait(0.1):
                mongo.db.leases.update_one({"_id": f"{NAMESPACE}:rollup"},
                                           {"$set": {"holder": "another"}, "$inc": {"serial": 1}})

        other = threading.Thread(target=hold)
        other.start()
        try:
            wait_until(lambda: mongo.db.leases.find_one({"holder": "another"}), "the lease is held")
            one.host(chatter, "format", tmp_path / "b", 5)
            wait_until(lambda: list(in_mongo(mongo, "counts").values()) == [15], "there is work to do")
            one.reload(mongo=mongo)
            wait_until(lambda: "was read again" in one.said(), one.said)
        finally:
            over.set()
            other.join()

    def test_what_needs_a_new_start_is_told_at_reload(self, agent, tmp_path):
        one = agent()
        text = one.file.read_text()
        one.file.write_text(text.replace(str(one.store), str(tmp_path / "other.db")))
        one.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "change when the agent is started anew" in one.said(), "it is told")
        assert not (tmp_path / "other.db").exists()

    def test_the_size_of_a_process_map_is_that_of_the_file(self, agent):
        one = agent(hook={"max_entries": 16})
        one.host("bash", "-c", 'for i in {a..z}{a..b}; do printf "message $i of many\\n"; done')
        one.settled(52)
        overflow = [e for e in one.entries() if e["method"] == "overflow"]
        assert [e["countTotal"] for e in overflow] == [52 - 16]
        assert one.health()["maps"]["overflow"] == 52 - 16

    def test_a_process_that_names_no_namespace_is_in_that_of_the_file(self, agent, chatter, tmp_path):
        one = agent(agent={"namespace": "shop"})
        one.host(chatter, "format", tmp_path / "a", 10)
        one.host(chatter, "format", tmp_path / "b", 5, namespace="other")
        one.settled(15)
        assert {namespace for namespace, _ in one.counts()} == {"shop", "other"}
        one.reload(agent={"namespace": "store"})
        wait_until(lambda: "read again" in one.said(), "the file is in force")
        one.host(chatter, "format", tmp_path / "c", 1)
        wait_until(lambda: "store" in {namespace for namespace, _ in one.counts()}, "the new one")

    def test_idle_it_makes_next_to_no_use_of_the_cpu(self, agent, mongo, redis):
        one = agent(mongo=mongo, redis=redis, agent={"drain_interval_ms": 1000,
                                                     "flush_interval_ms": 1000})
        wait_until(lambda: all(t["connected"] for t in one.health()["tiers"]), "both connected")
        stat = f"/proc/{one.process.pid}/stat"

        def ticks():
            with open(stat) as file:
                return sum(map(int, file.read().rsplit(")")[-1].split()[11:13]))

        before, polls = ticks(), one.tier("redis")["calls"]
        # As long as it takes to make some polls, on whatever machine.
        wait_until(lambda: one.tier("redis")["calls"] > polls + 10, "five polls")
        assert ticks() - before < 50, "half a second in five polls"


class TestNumbers:
    def test_every_tier_has_the_number_of_every_entry(self, agent, mongo, redis, chatter, tmp_path):
        one = agent(mongo=mongo, redis=redis)
        for number, how in enumerate(("format", "puts", "halves")):
            one.host(chatter, how, tmp_path / f"p{number}", 1000)
        agree(one, 1000 + 1000 + 500, mongo, redis)
        one.host(chatter, "format", tmp_path / "p3", 234)
        agree(one, 2734, mongo, redis)

    def test_an_analyst_finds_the_documents_as_the_design_says(self, agent, mongo, chatter, tmp_path):
        one = agent(mongo=mongo)
        one.host(chatter, "format", tmp_path / "p", 42, namespace="shop")
        wait_until(lambda: sum(in_mongo(mongo).values()) == 42, "the roll-up")
        entry, = mongo.db.entries.find({"namespace": "shop"}).sort("countTotal", -1)
        assert entry["_id"] == f"shop:{entry['hash']}"
        assert entry["method"] == "printf"
        assert entry["messageTemplate"] == "chatter number %ld\n"
        assert entry["topFrame"] == "chatter!main"
        # FerretDB leaves an empty array out of $setOnInsert.
        assert entry["enabled"] is True and entry.get("tags", []) == []
        count, = mongo.db.counts.find()
        assert count["_id"] == f"shop:{entry['hash']}:{count['incarnation']}"
        assert count["countPassed"] == 42

    def test_two_hosts_add_up_although_each_was_killed(self, agent, mongo, redis, chatter, tmp_path):
        hosts = [agent(mongo=mongo, redis=redis) for _ in range(2)]
        for number, one in enumerate(hosts):
            one.host(chatter, "format", tmp_path / f"a{number}", 1000)
            one.settled(1000)
            one.kill()
            one.host(chatter, "format", tmp_path / f"b{number}", 100 * number)
            one.start()
        key, = hosts[0].counts()
        wanted = {key: 2100}
        wait_until(lambda: in_mongo(mongo) == wanted, lambda: f"{in_mongo(mongo)} to be {wanted}")
        assert in_mongo(mongo, "counts") == wanted
        wait_until(lambda: in_redis(redis) == wanted, lambda: f"{in_redis(redis)} to be {wanted}")

    def test_the_hot_set_is_bounded_and_what_leaves_it_is_evicted(self, agent, redis, build, tmp_path):
        one = agent(redis={"enabled": True, "url": redis.url, "max_entries": 20})
        one.host("bash", "-c", 'for i in {a..z}{a..b}; do printf "message $i of many\\n"; done')
        one.settled(52)
        wait_until(lambda: len(in_redis(redis)) == 20, lambda: f"{len(in_redis(redis))} entries")
        one.host("bash", "-c", 'for i in {a..t}; do printf "another $i of many\\n"; done')
        one.settled(72)
        newest = {key for key, entry in ((( e["namespace"], e["hash"]), e) for e in one.entries())
                  if entry["messageTemplate"].startswith("another")}
        wait_until(lambda: set(in_redis(redis)) == newest, lambda: f"{in_redis(redis)}")

    def test_a_frozen_entry_keeps_its_number_and_gets_the_exact_one_back(self, agent, mongo, redis,
                                                                         chatter, tmp_path):
        one = agent(mongo=mongo, redis=redis)
        one.host(chatter, "format", tmp_path / "a", 100)
        agree(one, 100, mongo, redis)
        (_, entry_hash), = one.counts()
        mongo.db.entries.update_one({"hash": entry_hash},
                                    {"$set": {"persistToDb": False, "persistToCache": False}})
        wait_until(lambda: not one.entries()[0]["persistToDb"], "the flag is adopted")
        one.host(chatter, "format", tmp_path / "b", 11)
        one.settled(111)
        # The flag travels to Redis: behind it, no number does.
        key = f"logfold:{NAMESPACE}:entry:{{{entry_hash}}}"
        wait_until(lambda: redis.client().hget(key, "persistToCache") == "false", "it has travelled")
        assert list(in_mongo(mongo).values()) == list(in_redis(redis).values()) == [100]
        client = redis.client()
        client.hset(key, mapping={"persistToDb": "true", "persistToCache": "true"})
        client.publish(f"logfold:{NAMESPACE}:flags", entry_hash)
        agree(one, 111, mongo, redis)

    def test_a_tier_that_is_emptied_is_told_all_again(self, agent, redis, chatter, tmp_path):
        one = agent(redis=redis)
        one.host(chatter, "format", tmp_path / "a", 100)
        agree(one, 100, redis=redis)
        redis.client().flushall()
        agree(one, 100, redis=redis)

    def test_a_store_that_is_set_back_begins_a_new_incarnation(self, agent, mongo, chatter, tmp_path):
        one = agent(mongo=mongo)
        one.host(chatter, "format", tmp_path / "a", 100)
        agree(one, 100, mongo)
        one.stop()
        backup = one.store.read_bytes()
        one.start()
        one.host(chatter, "format", tmp_path / "b", 50)
        agree(one, 150, mongo)
        one.stop()
        one.store.write_bytes(backup)   # in place: device and inode stay what they were
        for name in ("stamp", "lock"):
            (one.run_dir / name).unlink(missing_ok=True)
        one.start()
        one.host(chatter, "format", tmp_path / "c", 7)
        wait_until(lambda: list(in_mongo(mongo).values()) == [157],
                   lambda: f"{in_mongo(mongo)} to be 157; {one.said()}")
        assert len(mongo.db.counts.distinct("incarnation")) == 2

    def test_a_tier_knows_that_a_store_was_set_back_together_with_all_beside_it(
            self, agent, mongo, chatter, tmp_path):
        one = agent(mongo=mongo, agent={"drain_interval_ms": 2000})
        one.host(chatter, "format", tmp_path / "a", 100)
        agree(one, 100, mongo)
        one.stop()
        backup = {path: path.read_bytes() for path in one.folder.glob("entries.db*")}
        one.start()
        one.host(chatter, "format", tmp_path / "b", 50)
        agree(one, 150, mongo)
        one.stop()
        for path, content in backup.items():
            path.write_bytes(content)
        for name in ("stamp", "lock"):
            (one.run_dir / name).unlink(missing_ok=True)
        one.start()
        # Only MongoDB knows: what is counted before it was asked counts for the old incarnation.
        wait_until(lambda: "was set back" in one.said(), lambda: f"MongoDB tells: {one.said()}")
        one.host(chatter, "format", tmp_path / "c", 7)
        wait_until(lambda: list(in_mongo(mongo).values()) == [157],
                   lambda: f"{in_mongo(mongo)} to be 157; {one.said()}")


class TestFlags:
    ASKED_FOR_LIFE_S = 3   # how often a watched redis is

    @pytest.fixture
    def slow(self, chatter, tmp_path):
        """Starts a chatter under an agent that prints when it is told to."""
        started = []

        def start(one):
            output = tmp_path / f"output-{len(started)}"
            progress = tmp_path / f"progress-{len(started)}"
            with output.open("wb") as out:
                job = one.start_host(chatter, "slow", progress, stdin=subprocess.PIPE, stdout=out)
            started.append(Slow(job, output, progress, wait_until))
            return started[-1]

        yield start
        for one in started:
            one.job.stdin.close()
            one.job.wait(timeout=DEADLINE_S)

    @staticmethod
    def obeyed(chatter, muted):
        """Whether the next call prints; called until it is as wanted."""
        def look():
            before = chatter.output.stat().st_size
            chatter.print()
            return (chatter.output.stat().st_size == before) == muted

        wait_until(look, "the chatter is " + ("silent" if muted else "heard"))

    def set_in(self, where, entry_hash, enabled, agent, mongo, redis):
        if where == "cli":
            done = agent.ask("unmute" if enabled else "mute", entry_hash)
            assert done.returncode == 0, done.stderr
        elif where == "redis":
            client = redis.client()
            client.hset(f"logfold:{NAMESPACE}:entry:{{{entry_hash}}}", "enabled",
                        str(enabled).lower())
            client.publish(f"logfold:{NAMESPACE}:flags", entry_hash)
        else:
            mongo.db.entries.update_one({"hash": entry_hash}, {"$set": {"enabled": enabled}})

    def test_a_field_that_is_set_where_the_entry_is_no_more_changes_no_other(self, agent, redis, chatter,
                                                                             tmp_path):
        one = agent(redis=redis)
        one.host(chatter, "format", tmp_path / "a", 5)
        agree(one, 5, redis=redis)
        (entry_hash,) = (entry["hash"] for entry in one.entries())
        key = f"logfold:{NAMESPACE}:entry:{{{entry_hash}}}"
        client = redis.client()

        def stored():
            return next((entry["enabled"], entry["persistToDb"], entry["tags"]) for entry in one.entries())

        client.hset(key, mapping={"persistToDb": "false", "tags": '["kept"]'})
        client.publish(f"logfold:{NAMESPACE}:flags", entry_hash)
        wait_until(lambda: stored() == (True, False, ["kept"]), lambda: f"{stored()}")
        client.delete(key)
        client.hset(key, "enabled", "false")
        client.publish(f"logfold:{NAMESPACE}:flags", entry_hash)
        wait_until(lambda: not stored()[0], lambda: f"{stored()}")
        assert stored() == (False, False, ["kept"])

    def test_flags_that_are_published_in_a_row_are_taken_without_a_poll(self, agent, redis):
        """Nothing but the messages wakes the agent: one that it left lying would stay there until redis is
        asked for life."""
        words = [a + b for a in "abcd" for b in "klmno"]
        one = agent(redis=redis)
        one.host("sh", "-c", "for w in $1; do echo worker of $w is done; done", "sh", " ".join(words))
        agree(one, len(words), redis=redis)
        one.stop()
        seldom = 3600 * 1000
        one.write(redis={"enabled": True, "url": redis.url, "poll_interval_ms": seldom},
                  agent={"drain_interval_ms": 60000, "flush_interval_ms": seldom})
        one.start()
        wait_until(lambda: one.tier("redis")["connected"], "the agent is at the tier")
        hashes = [entry_hash for _, entry_hash in one.counts()]
        store = sqlite3.connect(f"file:{one.store}?mode=ro", uri=True, timeout=DEADLINE_S)
        client, late = redis.client(), 0
        for number in range(30):
            for entry_hash in hashes:
                client.hset(f"logfold:{NAMESPACE}:entry:{{{entry_hash}}}", "enabled", number % 2)
                client.publish(f"logfold:{NAMESPACE}:flags", entry_hash)
                began = time.monotonic()
                while store.execute("SELECT enabled FROM entries WHERE hash = ?",
                                    (entry_hash,)).fetchone() != (number % 2,):
                    assert time.monotonic() < began + DEADLINE_S, f"round {number}: it was not taken"
                late += time.monotonic() > began + self.ASKED_FOR_LIFE_S / 2
        store.close()
        assert late <= 2, "few may meet a machine that stands still"

    @pytest.mark.parametrize("where", ["cli", "redis", "mongo"])
    def test_a_flag_set_anywhere_is_obeyed_on_every_host(self, agent, mongo, redis, slow, where):
        hosts = [agent(mongo=mongo, redis=redis) for _ in range(2)]
        chatters = [slow(one) for one in hosts]
        for chatter in chatters:
            chatter.print(3)
        wait_until(lambda: list(in_mongo(mongo).values()) == [6], "both hosts are in MongoDB")
        wait_until(lambda: list(in_redis(redis).values()) == [6], "and in Redis")
        (_, entry_hash), = in_mongo(mongo)
        for enabled in (False, True, False):
            self.set_in(where, entry_hash, enabled, hosts[0], mongo, redis)
            for chatter in chatters:
                self.obeyed(chatter, muted=not enabled)
        for one in hosts:
            wait_until(lambda: not one.entries()[0]["enabled"], "the store knows")
        wait_until(lambda: mongo.db.entries.find_one()["enabled"] is False, "MongoDB knows")
        wait_until(lambda: redis.client().hget(f"logfold:{NAMESPACE}:entry:{{{entry_hash}}}",
                                               "enabled") == "false", "Redis knows")
        versions = [one.entries()[0]["flagsVersion"] for one in hosts]
        assert versions == [mongo.db.entries.find_one()["flagsVersion"]] * 2

    def test_an_entry_muted_in_the_fleet_is_silent_on_a_new_host_from_its_first_call(
            self, agent, mongo, slow):
        first = agent(mongo=mongo)
        slow(first).print(3)
        wait_until(lambda: list(in_mongo(mongo).values()) == [3], "MongoDB has it")
        mongo.db.entries.update_one({}, {"$set": {"enabled": False, "tags": ["noise"]}})
        wait_until(lambda: not first.entries()[0]["enabled"], "the first host knows")
        second = agent(mongo=mongo)
        wait_until(lambda: second.entries(), "the second host has read the flags")
        assert second.entries()[0]["tags"] == ["noise"]
        wait_until(second.generation, "and given them to its processes")
        chatter = slow(second)
        chatter.print(5)
        assert chatter.output.stat().st_size == 0
        wait_until(lambda: list(in_mongo(mongo).values()) == [8], "it is counted all the same")

    def test_flags_survive_that_redis_is_emptied(self, agent, redis, slow):
        one = agent(redis=redis)
        chatter = slow(one)
        chatter.print(3)
        wait_until(lambda: list(in_redis(redis).values()) == [3], "Redis has it")
        (_, entry_hash), = one.counts()
        assert one.ask("mute", entry_hash).returncode == 0
        redis.client().flushall()
        key = f"logfold:{NAMESPACE}:entry:{{{entry_hash}}}"
        wait_until(lambda: redis.client().hget(key, "enabled") == "false", "Redis knows again")
        self.obeyed(chatter, muted=True)


class TestFaults:
    def test_a_tier_that_is_away_is_caught_up_when_it_comes_back(self, agent, mongo, redis, chatter,
                                                                 tmp_path):
        one = agent(mongo=mongo, redis=redis)
        one.host(chatter, "format", tmp_path / "a", 10)
        agree(one, 10, mongo, redis)
        mongo.stop()
        redis.stop()
        one.host(chatter, "format", tmp_path / "b", 90)
        one.settled(100)
        wait_until(lambda: all(tier["down"] for tier in one.health()["tiers"]), "both are left alone")
        assert one.ask("health").returncode == 2
        mongo.start()
        redis.start()
        agree(one, 100, mongo, redis)
        assert one.said().count("back again") == 2

    def test_a_tier_that_stands_still_holds_up_nothing_else(self, agent, mongo, redis, chatter,
                                                            tmp_path):
        one = agent(mongo={"enabled": True, "uri": mongo.uri, "database": mongo.database,
                           "timeout_ms": 1000, "connect_timeout_ms": 500}, redis=redis)
        one.host(chatter, "format", tmp_path / "a", 10)
        agree(one, 10, mongo, redis)
        mongo.freeze()
        one.host(chatter, "format", tmp_path / "b", 5)
        agree(one, 15, redis=redis)
        assert one.ask("ls").returncode == 0
        mongo.resume()
        agree(one, 15, mongo, redis)

    @pytest.mark.parametrize("section, said", [
        ({"mongo": {"uri": "mongodb://127.0.0.1:1"}}, r"mongo: .*127\.0\.0\.1:1"),
        ({"mongo": {"uri": "mongodb://no.such.host.invalid"}}, r"mongo: .*no\.such\.host\.invalid"),
        ({"mongo": {"uri": "mongodb://127.0.0.1/?retryWritess=true"}}, r"(?i)mongo: .*retryWritess"),
        ({"redis": {"url": "redis://127.0.0.1:1"}}, r"redis: .*127\.0\.0\.1:1"),
        ({"redis": {"url": "redis://no.such.host.invalid"}}, r"redis: .*no\.such\.host\.invalid"),
    ])
    def test_a_tier_that_cannot_be_had_is_one_clear_line_and_the_agent_lives(
            self, agent, chatter, tmp_path, section, said):
        (name, keys), = section.items()
        one = agent(**{name: keys | {"enabled": True}})
        wait_until(lambda: re.search(said, one.said()), lambda: f"{said}; it says {one.said()}")
        one.host(chatter, "format", tmp_path / "a", 10)
        one.settled(10)
        wait_until(lambda: one.tier(name)["state"] == "critical", "health knows")
        assert len(re.findall(said, one.said())) == 1, one.said()
        assert one.stop() == 0

    def test_a_wrong_password_is_one_clear_line_without_the_password(self, agent, redis_server,
                                                                     chatter, tmp_path):
        server = redis_server(user=("shop", "right"))
        one = agent(redis={"enabled": True, "url": server.url_as("shop", "hunter2")})
        wait_until(lambda: "redis: " in one.said(), "it is told")
        assert "hunter2" not in one.said()
        assert re.search(r"redis: .*(password|WRONGPASS)", one.said()), one.said()
        one.host(chatter, "format", tmp_path / "a", 10)
        one.settled(10)
        assert one.said().count("redis: ") == 1

    def test_a_password_file_comes_before_the_url(self, agent, redis_server, chatter, tmp_path):
        server = redis_server(user=("shop", "right"))
        secret = tmp_path / "secret"
        secret.write_text("right\n")
        secret.chmod(0o600)
        one = agent(redis={"enabled": True, "url": server.url_as("shop", "wrong"),
                           "password_file": str(secret)})
        one.host(chatter, "format", tmp_path / "a", 10)
        agree(one, 10, redis=server)


class TestHealth:
    def test_a_healthy_agent_exits_0_and_tells_of_every_part(self, agent, mongo, redis, chatter,
                                                             tmp_path):
        generous = {"latency_degraded_ms": 9000, "latency_critical_ms": 10000}
        one = agent(mongo=mongo, redis=redis, health=generous)
        one.host(chatter, "format", tmp_path / "a", 5000)
        agree(one, 5000, mongo, redis)
        wait_until(lambda: one.ask("health").returncode == 0, lambda: one.ask("health").stdout)
        health = one.health()
        assert health["maps"]["calls"] == 5000 and health["maps"]["firstSights"] == 1
        assert health["maps"]["hitRatePct"] > 80
        assert {tier["name"] for tier in health["tiers"]} == {"mongo", "redis"}
        # Where the message stands in the source is found out beside the drains, and sent behind them.
        wait_until(lambda: all(tier["waiting"] == 0 for tier in one.health()["tiers"]), one.health)

    def test_messages_that_never_repeat_make_the_maps_critical(self, agent, build, tmp_path):
        one = agent()
        one.host("awk", 'BEGIN { for (i = 0; i < 2000; i++) {'
                 ' s = ""; for (n = i; n > 0; n = int(n / 26)) s = s sprintf("%c", 97 + n % 26);'
                 ' print "word " s "zz" } fflush() }')
        one.settled(2000)
        assert one.health()["maps"]["state"] == "critical"
        assert one.ask("health").returncode == 2

    def test_thresholds_are_those_of_the_file(self, agent, redis):
        one = agent(redis=redis, health={"latency_degraded_ms": 9000, "latency_critical_ms": 10000,
                                         "memory_limit_mb": 16,
                                         "memory_degraded_pct": 1, "memory_critical_pct": 2})
        wait_until(lambda: one.tier("redis")["connected"], "redis is connected")
        assert one.health()["agent"]["state"] == "critical"

    def test_without_an_agent_health_is_critical_and_says_what_to_do(self, agent):
        one = agent(start=False)
        asked = one.ask("health")
        assert asked.returncode == 2
        assert re.fullmatch(r"logfold: .*no agent.*\n", asked.stderr), asked.stderr


class TestLookup:
    def find(self, one, entry_hash):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(DEADLINE_S)
            control.connect(str(one.run_dir / "control"))
            control.sendall(f"find {NAMESPACE} {entry_hash}\n".encode())
            answer = b""
            while more := control.recv(65536):
                answer += more
        return answer.decode()

    @pytest.mark.parametrize("kind", ["redis", "mongo"])
    def test_an_entry_of_another_host_is_found_in_the_tier(self, agent, kind, mongo, redis, chatter,
                                                           tmp_path):
        server = {"redis": redis, "mongo": mongo}
        first = agent(**{kind: server[kind]})
        first.host(chatter, "format", tmp_path / "a", 10)
        first.settled(10)
        (_, entry_hash), = first.counts()
        second = agent(**{kind: server[kind]})
        found = {"redis": in_redis, "mongo": in_mongo}[kind]
        wait_until(lambda: list(found(server[kind]).values()) == [10], "it is in the tier")
        wait_until(lambda: second.tier(kind)["connected"], "the second host is connected")
        head, entry, source = self.find(second, entry_hash).splitlines()
        assert source == kind
        assert json.loads(entry)["countTotal"] == 10
        assert self.find(second, entry_hash).splitlines()[2] == "memory"
        assert self.find(first, entry_hash).splitlines()[2] == "sqlite"
        assert self.find(second, "0" * 32) == "ok\n"

    def test_show_tells_of_an_entry_that_only_the_fleet_knows(self, agent, mongo, chatter, tmp_path):
        first = agent(mongo=mongo)
        first.host(chatter, "format", tmp_path / "a", 10)
        first.settled(10)
        (_, entry_hash), = first.counts()
        wait_until(lambda: list(in_mongo(mongo).values()) == [10], "it is in MongoDB")
        second = agent(mongo=mongo)
        wait_until(lambda: second.tier("mongo")["connected"], "the second host is connected")
        shown = second.ask("show", entry_hash)
        assert shown.returncode == 0, shown.stderr
        assert "countTotal: 10\n" in shown.stdout and "foundIn: mongo\n" in shown.stdout
        as_json = second.ask("show", "--json", entry_hash)
        assert json.loads(as_json.stdout)["messageTemplate"] == "chatter number %ld\n"
        nobody = second.ask("show", "0" * 32)
        assert nobody.returncode == 1 and "logfold: " in nobody.stderr

    def test_a_dead_tier_is_skipped(self, agent, mongo, redis, chatter, tmp_path):
        first = agent(mongo=mongo)
        first.host(chatter, "format", tmp_path / "a", 10)
        first.settled(10)
        wait_until(lambda: list(in_mongo(mongo).values()) == [10], "it is in MongoDB")
        (_, entry_hash), = first.counts()
        second = agent(mongo=mongo, redis=redis)
        wait_until(lambda: second.tier("mongo")["connected"], "MongoDB is connected")
        redis.stop()
        wait_until(lambda: not second.tier("redis")["connected"], "Redis is noticed to be away")
        assert self.find(second, entry_hash).splitlines()[2] == "mongo"
