"""What is wrong between the agent and its tiers, or around it: one clear line, the agent lives, the program
notices nothing, and when it is right again every number is exact."""

import re
import shlex
import subprocess

import pytest

from certificates import Authority
from conftest import wait_until
from fleet import in_mongo, in_redis
from test_agent import agree, chatter  # noqa: F401  a fixture
from test_faults import SPEAKER, disk, words  # noqa: F401  a fixture

QUICKLY = {"timeout_ms": 500, "connect_timeout_ms": 500}


def within(logfold, folder, *enter):
    """From now on `logfold` is started by way of that command."""
    script = folder / "within"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, [*enter, logfold.binary]))} "$@"\n')
    script.chmod(0o755)
    logfold.binary = script


def lines(agent, about):
    return [line for line in agent.said().splitlines() if about in line]


def prints(agent, chatter, path):  # noqa: F811
    """The program is what it is without us."""
    done = agent.host(chatter, "format", path, 10)
    assert done.returncode == 0
    assert done.stdout == b"".join(b"chatter number %d\n" % i for i in range(10))


class TestServers:
    """Told once, also when it fails again and again; the store has all numbers in the meantime."""

    def check(self, agent, chatter, path, name, keys, said):  # noqa: F811
        one = agent(**{name: keys | {"enabled": True}})
        wait_until(lambda: re.search(said, one.said()), lambda: f"{said}; it says {one.said()}")
        prints(one, chatter, path)
        one.settled(10)
        errors = one.tier(name)["errors"]
        wait_until(lambda: one.tier(name)["errors"] > errors + 2, "it is tried again")
        assert len(lines(one, f"{name}: ")) == 1, one.said()
        assert one.tier(name)["state"] == "critical"
        return one

    @pytest.mark.parametrize("name", ["mongo", "redis"])
    def test_a_wrong_password(self, agent, mongo_server, redis_server, chatter, tmp_path,  # noqa: F811
                              name):
        if name == "mongo":
            server = mongo_server(user=("shop", "right"))
            keys = {"uri": server.uri_as("shop", "hunter2"), "database": server.database}
        else:
            server = redis_server(user=("shop", "right"))
            keys = {"url": server.url_as("shop", "hunter2")}
        one = self.check(agent, chatter, tmp_path / "p", name, keys, r"(?i)password")
        assert "hunter2" not in one.said()
        self.right(one, name, server, chatter, tmp_path)

    @pytest.mark.parametrize("name", ["mongo", "redis"])
    def test_a_certificate_of_another_authority(self, agent, mongo_server, redis_server,
                                                chatter, tmp_path, name):  # noqa: F811
        other = str(Authority(tmp_path).file)
        if name == "mongo":
            server = mongo_server(tls=True)
            keys = {"uri": f"mongodb://{server.address}/?tls=true", "database": server.database}
        else:
            server = redis_server(tls=True)
            keys = {"url": server.url}
        one = self.check(agent, chatter, tmp_path / "p", name, keys | {"tls_ca_file": other},
                         r"(?i)certificate")
        self.right(one, name, server, chatter, tmp_path)

    @pytest.mark.parametrize("name", ["mongo", "redis"])
    def test_plain_text_to_a_tls_port(self, agent, mongo_server, redis_server, chatter,  # noqa: F811
                                      tmp_path, name):
        if name == "mongo":
            server = mongo_server(tls=True)
            keys = {"uri": f"mongodb://{server.address}/", "database": server.database}
        else:
            server = redis_server(tls=True)
            keys = {"url": server.url.replace("rediss:", "redis:")}
        one = self.check(agent, chatter, tmp_path / "p", name, keys, "TLS")
        self.right(one, name, server, chatter, tmp_path)

    def right(self, one, name, server, chatter, tmp_path):  # noqa: F811
        """The file is put right, and with it all is there."""
        keys = {"uri": server.uri, "database": server.database} if name == "mongo" else \
            {"url": server.url}
        if server.ca:
            keys["tls_ca_file"] = str(server.ca.file)
        one.reload(**{name: QUICKLY | keys | {"enabled": True}})
        prints(one, chatter, tmp_path / "again")
        agree(one, 20, **{name: server})

    def test_tls_and_passwords_for_both(self, agent, mongo_server, redis_server, chatter,  # noqa: F811
                                        tmp_path):
        user = ("shop", "hunter2")
        mongo, redis = mongo_server(user=user, tls=True), redis_server(user=user, tls=True)
        one = agent(mongo={"enabled": True, "uri": mongo.uri, "database": mongo.database},
                    redis={"enabled": True, "url": redis.url, "tls_ca_file": str(redis.ca.file)})
        one.host(chatter, "format", tmp_path / "a", 100)
        agree(one, 100, mongo, redis)
        mongo.kill()
        redis.kill()
        one.kill()
        one.host(chatter, "format", tmp_path / "b", 11)
        one.start()
        mongo.start()
        redis.start()
        agree(one, 111, mongo, redis)
        assert "hunter2" not in one.said()


class TestCluster:
    def test_a_master_that_is_lost_and_comes_back_gets_its_numbers_again(self, agent, redis_cluster,
                                                                         chatter, tmp_path):  # noqa: F811
        one = agent(redis={"enabled": True, "url": redis_cluster.url} | QUICKLY)
        kinds = [("format", 100), ("puts", 100), ("halves", 100)]

        def print_all():
            for number, (how, count) in enumerate(kinds):
                for namespace in ("shop", "office"):
                    one.host(chatter, how, tmp_path / f"p{number}", count, namespace=namespace)

        def in_cluster():
            return {key: count for node in redis_cluster.nodes for key, count in in_redis(node).items()}

        def everywhere(count):
            one.settled(count)
            wait_until(lambda: in_cluster() == one.counts(),
                       lambda: f"{in_cluster()} to be {one.counts()}; {one.said()}")

        print_all()
        everywhere(500)
        lost = redis_cluster.nodes[0]  # that of the URL
        lost.kill()
        print_all()
        one.settled(1000)
        one.kill()
        one.start()
        lost.start()
        redis_cluster.settled()
        everywhere(1000)


class TestPlaces:
    def test_with_a_full_dev_shm_the_agent_starts_and_serves(self, logfold, agent, mongo, redis,
                                                             chatter, tmp_path):  # noqa: F811
        fill = ("mount -t tmpfs -o size=64k tmpfs /dev/shm && "
                "! dd if=/dev/zero of=/dev/shm/ballast 2>/dev/null && exec \"$@\"")
        within(logfold, tmp_path, "unshare", "--mount", "--propagation", "private", "sh", "-c", fill, "sh")
        one = agent(mongo=mongo, redis=redis)
        with open(f"/proc/{one.process.pid}/root/dev/shm/more", "wb", buffering=0) as more:
            with pytest.raises(OSError):
                more.write(b"x")
        prints(one, chatter, tmp_path / "p")
        agree(one, 10, mongo, redis)
        assert one.said() == ""
        assert one.stop() == 0

    def test_a_full_disk_under_the_store_is_told_and_costs_no_number(self, logfold, agent, disk, mongo,
                                                                     redis, chatter, tmp_path):  # noqa: F811
        small = disk("small", "900k")
        within(logfold, tmp_path, *small.enter)
        one = agent(start=False)
        one.store = small.place / "entries.db"
        one.write(mongo=mongo, redis=redis)
        one.start()
        # SQLite here does not find its way into that file system.
        one.counts = lambda: {(e["namespace"], e["hash"]): e["countTotal"] for e in one.entries()}
        prints(one, chatter, tmp_path / "a")
        agree(one, 10, mongo, redis)
        small.fill()
        (tmp_path / "words").write_text(" ".join(words(800)))
        done = one.host("sh", "-c", 'exec "$@" <"$0"', tmp_path / "words", *SPEAKER,
                        stderr=subprocess.PIPE)
        assert (done.returncode, done.stdout.count(b"\n"), done.stderr) == (0, 800, b"done\n")
        wait_until(lambda: one.health()["store"]["state"] == "critical", lambda: one.said())
        before = in_mongo(mongo)
        prints(one, chatter, tmp_path / "b")
        assert one.ask("health").returncode == 2
        # A tier that was just about to note how far it was told says so, too.
        full = [line for line in lines(one, "full") if not re.match("logfold: (mongo|redis): ", line)]
        assert len(full) == 1 and str(small.place) in full[0], one.said()
        assert in_mongo(mongo) == before
        small.relieve()
        agree(one, 10 + 801 + 10, mongo, redis)
        assert len(lines(one, "full")) <= 3, one.said()


class TestNamespaces:
    def test_what_may_not_be_named_comes_to_no_tier_until_it_may(self, agent, mongo, redis, chatter,
                                                                 tmp_path):  # noqa: F811
        one = agent(mongo=mongo, redis=redis, agent={"namespaces": ["shop"]})
        for number, namespace in enumerate(("office", "office", "shop")):
            one.host(chatter, "format", tmp_path / f"p{number}", 10, namespace=namespace)
        agree(one, 10, mongo, redis)
        assert {namespace for namespace, _ in one.counts()} == {"shop"}
        assert len(lines(one, "namespace 'office' is not counted")) == 1, one.said()
        one.reload(mongo=mongo, redis=redis, agent={"namespaces": ["shop", "office"]})

        def both():
            one.host(chatter, "format", tmp_path / "p", 1, namespace="office")
            return {namespace for namespace, _ in one.counts()} == {"shop", "office"}

        wait_until(both, "the new configuration holds")
        wait_until(lambda: in_mongo(mongo) == in_redis(redis) == one.counts(), lambda: one.said())
