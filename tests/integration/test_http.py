"""The agent's HTTP server, as an HTTP client sees it."""

import http.client
import json
import os
import re
import signal
import socket
import stat
import subprocess

import pytest
from conftest import DEADLINE_S, wait_until
from server_process import free_port

NAMESPACE = "console-manager-entries"
LONG_MS = 3600000  # what goes sooner was invalidated


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("somewhere")
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE_S)
        self.sock.connect(self._path)


class Response:
    def __init__(self, response):
        self.status, self.headers, self.text = response.status, response.headers, response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)


class Served:
    """An agent with an HTTP server, and requests to it."""

    def __init__(self, agent, where):
        self.agent, self.where = agent, where

    def connection(self):
        if self.where.startswith("unix:"):
            return UnixConnection(self.where[5:])
        host, port = self.where.rsplit(":", 1)
        return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=DEADLINE_S)

    def listens(self):
        connection = self.connection()
        try:
            connection.connect()
            return True
        except OSError:
            return False
        finally:
            connection.close()

    def __call__(self, path, method="GET", body=None, headers=None):
        connection = self.connection()
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Response(connection.getresponse())
        finally:
            connection.close()


@pytest.fixture
def served(agent):
    def start(listen=None, http=None, **sections):
        where = listen or f"127.0.0.1:{free_port()}"
        one = Served(agent(http={"enabled": True, "listen": where, **(http or {})}, **sections), where)
        wait_until(one.listens, lambda: f"it listens at {where}; it says {one.agent.said()}")
        return one
    return start


@pytest.fixture
def chatter(build):
    return build / "progs" / "chatter"


def say(one, lines):
    """Messages of a program that prints one each."""
    one.agent.host("sh", "-c", f"for i in {lines}; do echo word $i; done")


# --- health ---


def test_health_is_what_the_command_says(served):
    one = served()
    health = one("/api/health")
    assert health.status == 200
    assert health.headers["Content-Type"] == "application/json; charset=utf-8"
    assert health.headers["Cache-Control"] == "no-cache"
    assert health.json.keys() == one.agent.health().keys()
    assert health.json["store"]["path"] == str(one.agent.store)
    wait_until(lambda: one("/api/health").json["state"] == "healthy", lambda: one("/api/health").text)


def test_a_critical_agent_is_503(served):
    one = served(health={"memory_limit_mb": 16, "memory_degraded_pct": 1, "memory_critical_pct": 2})
    health = one("/api/health")
    assert (health.status, health.json["state"]) == (503, "critical")


def test_health_is_asked_anew_however_long_responses_may_stay(served):
    one = served(http={"ttl_ms": LONG_MS})
    assert one("/api/health").headers["X-Cache"] == "miss"
    wait_until(lambda: one("/api/health").headers["X-Cache"] == "hit" or None, "it is kept for a moment")
    wait_until(lambda: one("/api/health").headers["X-Cache"] == "miss", "it is asked anew")


def test_a_stopped_agent_does_not_keep_an_asker_waiting_for_ever(served):
    one = served()
    say(one, "a")
    one.agent.settled(1)
    assert one("/api/cache/stats").json["enabled"] in (True, False)
    one.agent.process.send_signal(signal.SIGTERM)
    assert one.agent.process.wait(timeout=DEADLINE_S) == 0


# --- entries, and the middleware ---


def test_entries_come_most_frequent_first_page_by_page(served):
    one = served()
    say(one, "a b b c c c")
    one.agent.settled(6)
    wait_until(lambda: one("/api/entries").json["total"] == 3, lambda: one("/api/entries").text)
    every = one("/api/entries").json
    counts = [entry["countTotal"] for entry in every["entries"]]
    assert counts == [3, 2, 1] and every["entries"][0]["messageTemplate"] == "word c"
    page = one("/api/entries?limit=1&offset=1").json
    assert page == {"total": 3, "entries": every["entries"][1:2]}
    assert one("/api/entries?offset=3").json["entries"] == []
    assert one("/api/entries?namespace=nobody").json == {"total": 0, "entries": []}
    assert one(f"/api/entries?namespace={NAMESPACE}").json == every


def test_a_response_is_made_once_however_its_query_is_spelled(served):
    one = served(http={"ttl_ms": LONG_MS})
    first = one("/api/entries?limit=5&offset=0")
    again = one("/api/entries?offset=%30&limit=5")
    assert (first.headers["X-Cache"], again.headers["X-Cache"]) == ("miss", "hit")
    assert (first.text, first.headers["ETag"]) == (again.text, again.headers["ETag"])
    assert one("/api/entries?limit=6&offset=0").headers["X-Cache"] == "miss"


def test_entries_that_change_invalidate_the_response(served):
    one = served(http={"ttl_ms": LONG_MS})
    say(one, "a")
    one.agent.settled(1)
    wait_until(lambda: one("/api/entries").json["total"] == 1, lambda: one("/api/entries").text)
    before = one("/api/entries")
    say(one, "b")
    wait_until(lambda: one("/api/entries").json["total"] == 2, lambda: one("/api/entries").text)
    after = one("/api/entries")
    assert after.headers["ETag"] != before.headers["ETag"]
    muted = one.agent.ask("mute", after.json["entries"][0]["hash"])
    assert muted.returncode == 0, muted.stderr
    wait_until(lambda: not all(entry["enabled"] for entry in one("/api/entries").json["entries"]), "a flag, too")


def test_a_response_that_is_known_is_304_without_a_body(served):
    one = served(http={"ttl_ms": LONG_MS})
    full = one("/api/entries")
    etag = full.headers["ETag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', etag)
    for known in (etag, f'"other", W/{etag}', "*"):
        again = one("/api/entries", headers={"If-None-Match": known})
        assert (again.status, again.text, again.headers["ETag"]) == (304, "", etag), known
    other = one("/api/entries", headers={"If-None-Match": '"other"'})
    assert (other.status, other.text) == (200, full.text)


def test_head_is_get_without_the_body(served):
    one = served(http={"ttl_ms": LONG_MS})
    full, head = one("/api/entries"), one("/api/entries", method="HEAD")
    assert (head.status, head.text) == (200, "")
    for name in ("ETag", "Content-Length", "Content-Type"):
        assert head.headers[name] == full.headers[name]
    assert head.headers["X-Cache"] == "hit"


# --- what is wrong is said, as JSON ---


@pytest.fixture
def wrong(served):
    one = served(http={"timeout_s": 1})

    def ask(path, status, sentence, **how):
        response = one(path, **how)
        assert response.status == status, response.text
        assert re.search(sentence, response.json["error"]), response.text
        return response
    ask.served = one
    return ask


def test_mistakes_are_told(wrong):
    wrong("/", 404, "/api/health")
    wrong("/api/entries/", 404, "/api/entries")
    wrong("/api/entries?limt=5", 400, "no parameter 'limt'")
    wrong("/api/entries?limit=0", 400, "limit takes a number from 1 to 1000")
    wrong("/api/entries?limit=-1", 400, "limit takes")
    wrong("/api/entries?limit=99999999999", 400, "limit takes")
    wrong("/api/entries?limit=", 400, "limit takes")
    wrong("/api/entries?limit", 400, "limit takes")
    wrong("/api/entries?limit=1&limit=1", 400, "twice")
    wrong("/api/entries?namespace=a%00b", 400, "namespace takes")
    wrong("/api/entries?namespace=a/b", 400, "namespace takes")
    wrong("/api/health?a=1", 400, "no parameter 'a'")
    wrong("/api/entries?" + "&".join(f"a{i}=1" for i in range(9)), 400, "more than 8")
    wrong("/api/health", 413, "no body", method="GET", body="x" * 10)
    wrong("/api/health", 413, "no body", method="POST", body="x" * 10)
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        refused = wrong("/api/health", 405, "GET or HEAD", method=method)
        assert refused.headers["Allow"] == "GET, HEAD"
    assert wrong.served("/api/health").status == 200


def test_a_page_of_another_name_cannot_read_it(wrong):
    """DNS rebinding: the browser asks 127.0.0.1 because evil.example says that it is there."""
    port = wrong.served.where.rsplit(":", 1)[1]
    for host in ("evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "127.0.0.1:1"):
        wrong("/api/health", 403, "loopback", headers={"Host": host})
    for host in (f"localhost:{port}", f"[::1]:{port}"):
        assert wrong.served("/api/health", headers={"Host": host}).status == 200


def test_no_request_is_too_strange(wrong):
    """Whatever comes, the server says no, or hangs up, and serves the next one."""
    host, port = wrong.served.where.rsplit(":", 1)
    for said in (b"\0" * 100, b"GET /api/health\r\n\r\n", b"GET /api/health HTTP/1.1\r\n\r\n", b"x" * 100000,
                 b"GET /api/entries?limit=" + b"1" * 40000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 b"GET /api/health HTTP/1.1\r\n" + b"A: b\r\n" * 20000):
        with socket.create_connection((host, int(port)), timeout=DEADLINE_S) as client:
            try:
                client.sendall(said)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
            except OSError:  # it hung up in the middle
                pass
        assert wrong.served("/api/health").status == 200, said[:40]


def test_no_other_command_waits_for_the_servers_library(logfold):
    needed = subprocess.run(["readelf", "-d", logfold.binary], capture_output=True, text=True, check=True).stdout
    assert "libsqlite3" in needed and "microhttpd" not in needed, needed


# --- where it listens ---


def test_a_unix_socket_is_for_the_agents_group_and_goes_with_the_agent(served, tmp_path):
    path = tmp_path / "agent-0" / "run" / "http"  # the run directory is its own
    one = served(listen=f"unix:{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert one("/api/health", headers={"Host": "whoever"}).status == 200
    assert one("/api/entries").json == {"total": 0, "entries": []}
    one.agent.kill()
    assert path.exists()
    one.agent.start()
    wait_until(lambda: answers(one), "what a dead agent left is replaced")
    assert one.agent.stop() == 0
    assert not path.exists()


def test_a_place_that_is_taken_is_told_and_the_agent_goes_on(served, agent, tmp_path):
    one = served()
    file = tmp_path / "file"
    file.write_text("somebody's")
    folder = tmp_path / "not" / "there"
    taken = tmp_path / "taken"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(taken))
        other.listen()
        for listen, sentence in ((one.where, "somebody listens there"), (f"unix:{file}", "remove it"),
                                 (f"unix:{folder}", "make its folder"), (f"unix:{taken}", "somebody listens")):
            two = agent(http={"enabled": True, "listen": listen})
            wait_until(lambda: re.search(f"HTTP server cannot listen at .*{sentence}.*goes on without it", two.said()),
                       two.said)
            wait_until(lambda: two.health()["state"] == "healthy", two.health)
            assert two.stop() == 0
    assert file.read_text() == "somebody's"


def test_the_server_moves_when_the_configuration_is_read_again(served):
    one = served()
    assert one("/api/health").status == 200
    two = Served(one.agent, f"127.0.0.1:{free_port()}")
    one.agent.reload(http={"enabled": True, "listen": two.where})
    wait_until(lambda: "read again" in one.agent.said(), one.agent.said)
    assert two("/api/health").status == 200
    with pytest.raises(OSError):
        one("/api/health")


def test_where_all_users_are_served_the_loopback_tells_nobody_what_was_printed(served, tmp_path):
    if os.geteuid() != 0:
        pytest.fail("an agent for all users needs root")
    one = served(agent={"users": "all"})
    assert one("/api/entries").status == 403
    assert one("/api/health").status == 200


def test_who_says_nothing_holds_nobody_up(served):
    """Neither other requests, nor the end of the agent."""
    one = served(http={"max_connections": 16})
    silent = [one.connection() for _ in range(4)]
    for connection in silent:
        connection.connect()
        connection.sock.sendall(b"GET /api/he")
    assert one("/api/health").status == 200
    assert one.agent.stop() == 0
    for connection in silent:
        connection.close()


def test_connections_have_a_limit_and_come_back(served):
    one = served(http={"max_connections": 4})
    crowd = []
    for _ in range(12):
        connection = one.connection()
        try:
            connection.connect()
            crowd.append(connection)
        except OSError:
            pass
    for connection in crowd:
        connection.close()
    wait_until(lambda: answers(one), "somebody is served again")


def memory_of(process):
    return int(re.search(r"(?m)^VmRSS:\s+(\d+) kB", open(f"/proc/{process.pid}/status").read()).group(1)) * 1024


def test_who_reads_slowly_costs_no_copy_of_the_response(served):
    one = served(http={"ttl_ms": LONG_MS, "timeout_s": 60})
    one.agent.host("sh", "-c", "head -c 4000 /dev/zero | tr '\\0' '\"' >long;"
                   " for i in $(seq 500); do echo word $(printf %d $i | tr 0-9 a-j) $(cat long); done",
                   cwd=one.agent.folder)
    one.agent.settled(500)
    wait_until(lambda: one("/api/entries?limit=500").json["total"] == 500, "all are there")
    wait_until(lambda: one.agent.health()["maps"]["segments"] == 0, "nothing is left to be drained")
    whole = one("/api/entries?limit=500")
    assert len(whole.text) > 2000000  # more than sockets take
    before = memory_of(one.agent.process)
    readers = [one.connection() for _ in range(40)]
    for reader in readers:
        reader.request("GET", "/api/entries?limit=500")
    waiting = [reader.getresponse() for reader in readers]  # its headers
    assert {response.headers["X-Cache"] for response in waiting} == {"hit"}
    assert memory_of(one.agent.process) - before < len(whole.text) * len(readers) / 4
    assert {response.read().decode() for response in waiting} == {whole.text}
    for reader in readers:
        reader.close()


def answers(one):
    try:
        return one("/api/health").status == 200
    except (OSError, http.client.HTTPException):
        return False
