"""Redis servers for a test, on free loopback ports, in folders of their own, ended by their pids.

    redis_server             makes and starts one:   redis_server(user=("who", "password"), tls=True)
        .url .unix_url       how a client finds it; .url_as(user, password)
        .client()            redis-py's client, for a reader that is not ours
        .stop() .kill() .start() .restart() .freeze() .resume()      (start: same port, same folder)
        .ca                  the authority that signed a TLS server (certificates.py)
    redis                    one without password or TLS
    redis_cluster            three masters
        .url .client()       of the whole; .nodes the three, .node_of(key), .move(slot, to)

Nothing is written to disk unless save=True, so a restarted server is an empty one.  A server ends with
the test, or with the process of the tests where that is killed.
"""

import itertools
import os
import shutil
import socket
import subprocess

import pytest
import redis as redis_py
from certificates import Authority
from conftest import DEADLINE_S, wait_until
from server_process import ServerProcess, free_port


def decoded(text):
    return text.decode() if isinstance(text, bytes) else text


class Redis(ServerProcess):
    """One server."""

    def __init__(self, folder, user=None, tls=False, save=False, options=()):
        self.folder = folder
        self.port = free_port()
        self.user = user
        self.socket = folder / "redis.sock"
        self.ca = Authority(folder) if tls else None
        self._clients = []
        self._log = folder / "server.log"
        self._options = [*self._network(), *self._users(), *options]
        if not save:
            self._options += ["--save", "", "--appendonly", "no"]

    def _network(self):
        options = ["--bind", "127.0.0.1", "--unixsocket", self.socket]
        if not self.ca:
            return [*options, "--port", self.port]
        pair = self.ca.issue("server")
        return [*options, "--port", 0, "--tls-port", self.port, "--tls-cert-file", pair.certificate,
                "--tls-key-file", pair.key, "--tls-ca-cert-file", self.ca.file,
                "--tls-auth-clients", "optional", "--tls-cluster", "no"]

    def _users(self):
        if not self.user:
            return []
        acl = self.folder / "users.acl"
        name, password, *rules = self.user
        acl.write_text(f"user default off\n"
                       f"user {name} on >{password} {' '.join(rules) or '~* &* +@all'}\n")
        return ["--aclfile", acl]

    def url_as(self, user=None, password=None):
        who = f"{user or ''}:{password}@" if password else ""
        return f"{'rediss' if self.ca else 'redis'}://{who}127.0.0.1:{self.port}"

    @property
    def url(self):
        return self.url_as(*(self.user or ())[:2])

    @property
    def unix_url(self):
        return f"unix://{self.socket}"

    def client(self, **how):
        """A new client of redis-py, closed with the server."""
        if self.ca:
            how |= {"ssl": True, "ssl_ca_certs": str(self.ca.file)}
        if self.user:
            how |= {"username": self.user[0], "password": self.user[1]}
        made = redis_py.Redis("127.0.0.1", self.port, decode_responses=True,
                              socket_timeout=DEADLINE_S, **how)
        self._clients.append(made)
        return made

    def _answers(self):
        if self.process.poll() is not None:
            pytest.fail(f"redis-server ended: {self._log.read_text()[-2000:]}")
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(DEADLINE_S)
                probe.connect(str(self.socket))
                probe.sendall(b"PING\r\n")
                return probe.recv(100)[:5] in (b"+PONG", b"-NOAU")
        except (FileNotFoundError, ConnectionError):
            return False

    def start(self):
        for tool in ("redis-server", "setpriv"):
            if not shutil.which(tool):
                pytest.fail(f"there is no {tool}: run make test-deps")
        self.socket.unlink(missing_ok=True)
        command = ["setpriv", "--pdeathsig", "KILL", "redis-server", "--dir", self.folder,
                   *self._options]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        wait_until(self._answers, "redis-server answers")
        return self

    def restart(self):
        self.kill()
        return self.start()

    def close(self):
        for client in self._clients:
            client.close()
        if self.process and self.process.poll() is None:
            self.kill()


class Cluster:
    """Three masters without replicas, a third of the slots each."""

    SHARES = ((0, 5460), (5461, 10922), (10923, 16383))

    def __init__(self, make):
        self.buses = [free_port() for _ in self.SHARES]
        self.nodes = [make(options=["--cluster-enabled", "yes", "--cluster-node-timeout", 15000,
                                    "--cluster-port", bus]) for bus in self.buses]
        for node, (first, last) in zip(self.nodes, self.SHARES):
            node.client().execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        for epoch, node in enumerate(self.nodes, 1):
            node.client().execute_command("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        # All of them, as they tell each other of the others only now and then.
        for (one, _), (other, bus) in itertools.combinations(zip(self.nodes, self.buses), 2):
            one.client().execute_command("CLUSTER", "MEET", "127.0.0.1", other.port, bus)
        self.settled()

    def settled(self):
        """Waits until every node sees all the others and all the slots."""
        def agree():
            for node in self.nodes:
                info = decoded(node.client().execute_command("CLUSTER INFO"))
                info = info if isinstance(info, dict) else dict(
                    line.split(":") for line in info.split())
                if info["cluster_state"] != "ok" or info["cluster_known_nodes"] != "3":
                    return False
            return True

        wait_until(agree, "the cluster is formed")

    @property
    def url(self):
        return self.nodes[0].url

    def node_of(self, key):
        slot = self.nodes[0].client().execute_command("CLUSTER", "KEYSLOT", key)
        return next(node for node, (first, last) in zip(self.nodes, self.SHARES)
                    if first <= slot <= last)

    def slot_of(self, key):
        return self.nodes[0].client().execute_command("CLUSTER", "KEYSLOT", key)

    def id_of(self, node):
        return decoded(node.client().execute_command("CLUSTER", "MYID"))

    def begin_move(self, slot, source, target):
        target.client().execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        source.client().execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(target))

    def move_keys(self, slot, source, target):
        client = source.client()
        for key in client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1000):
            client.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)

    def end_move(self, slot, target):
        for node in sorted(self.nodes, key=lambda node: node is not target):
            node.client().execute_command("CLUSTER", "SETSLOT", slot, "NODE", self.id_of(target))


@pytest.fixture
def redis_server(tmp_path_factory):
    servers = []

    def make(**how):
        servers.append(Redis(tmp_path_factory.mktemp("redis"), **how))
        return servers[-1].start()

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def redis(redis_server):
    return redis_server()


@pytest.fixture
def redis_cluster(redis_server):
    return Cluster(redis_server)
