"""A MongoDB server for a test, on a free loopback port, in a folder of its own, ended by its pid.

    mongo                    a running server without password or TLS, and a database of the test alone
        mongo.uri, .port, .database
        mongo.client()       pymongo's client, for a reader that is not ours; mongo.db its database
        mongo.stop() .kill() .freeze() .resume() .start()      (start: same port, same data)
    mongo_server             makes more:   mongo_server(user=("who", "password"), tls=True)
        .ca                  the authority that signed a TLS server (certificates.py)

It ends with the test, or with the process of the tests where that is killed.  It is the one that
LOGFOLD_TEST_MONGO_URI names, else mongod on PATH, else the FerretDB that `make test-deps` builds.  One
that was named is not ours to stop: tests that must are skipped then, and only then.
"""

import os
import shutil
import socket
import subprocess
import uuid

import pymongo
import pytest
from certificates import Authority
from conftest import DEADLINE_S, ROOT, wait_until
from server_process import ServerProcess, free_port

NAMED = os.environ.get("LOGFOLD_TEST_MONGO_URI")
BUILDER = ROOT / "tests" / "servers" / "ferretdb.sh"


def ferretdb():
    path = subprocess.run(["sh", BUILDER, "path"], capture_output=True, text=True, check=True,
                          timeout=DEADLINE_S).stdout.strip()
    if not os.access(path, os.X_OK):
        pytest.fail("there is no MongoDB server: run make test-deps, or put mongod on PATH, "
                    "or set LOGFOLD_TEST_MONGO_URI")
    return path


def ferretdb_command(server):
    for place in ("data", "state"):
        (server.folder / place).mkdir(exist_ok=True)
    address = f"127.0.0.1:{server.port}"
    command = [ferretdb(), "--handler=sqlite",
               f"--sqlite-url=file:{server.folder}/data/?_pragma=synchronous(normal)",
               f"--state-dir={server.folder}/state", "--debug-addr=-", "--telemetry=disable",
               "--log-level=ERROR"]
    if server.pair:
        command += ["--listen-addr=", f"--listen-tls={address}",
                    f"--listen-tls-cert-file={server.pair.certificate}",
                    f"--listen-tls-key-file={server.pair.key}"]
    else:
        command += [f"--listen-addr={address}"]
    if server.user:
        command += ["--test-enable-new-auth", f"--setup-username={server.user[0]}",
                    f"--setup-password={server.user[1]}", "--setup-database=admin"]
    return command


def mongod_command(server):
    (server.folder / "data").mkdir(exist_ok=True)
    command = ["mongod", "--dbpath", server.folder / "data", "--port", str(server.port),
               "--bind_ip", "127.0.0.1", "--nounixsocket"]
    if server.pair:
        command += ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", server.pair.both]
    return command + (["--auth"] if server.user else [])


class Mongo(ServerProcess):
    """One server.  `process` is None where it is not ours."""

    def __init__(self, folder, user=None, pair=None, ca=None):
        self.folder = folder
        self.user, self.pair, self.ca = user, pair, ca
        self.port = free_port()
        self.database = f"logfold_test_{uuid.uuid4().hex[:12]}"
        self._clients = []
        self._log = folder / "server.log"

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def uri(self):
        return NAMED or self.uri_as(*(self.user or (None, None)))

    def uri_as(self, user, password, options=""):
        who = f"{user}:{password}@" if user else ""
        how = ["authSource=admin", "authMechanism=SCRAM-SHA-256"] if user else []
        how += ["tls=true", f"tlsCAFile={self.ca.file}"] if self.ca else []
        how += [options] if options else []
        return f"mongodb://{who}{self.address}/" + ("?" + "&".join(how) if how else "")

    def client(self):
        """A new client of pymongo, closed with the server."""
        made = pymongo.MongoClient(self.uri, serverSelectionTimeoutMS=DEADLINE_S * 1000,
                                   tz_aware=True)
        self._clients.append(made)
        return made

    @property
    def db(self):
        if not self._clients:
            self.client()
        return self._clients[0][self.database]

    def _may_touch(self):
        if NAMED:
            pytest.skip("needs a server that it can stop, not that of LOGFOLD_TEST_MONGO_URI")

    def _answers(self):
        if self.process.poll() is not None:
            pytest.fail(f"the server ended: {self._log.read_text()[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def start(self):
        if NAMED:
            return self
        first = not self._log.exists()
        mongod = shutil.which("mongod")
        command = mongod_command(self) if mongod else ferretdb_command(self)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._answers, "the MongoDB server accepts connections")
        if mongod and self.user and first:  # allowed from this machine while there is no user
            pymongo.MongoClient(self.uri_as(None, None)).admin.command(
                "createUser", self.user[0], pwd=self.user[1], roles=["root"])
        return self

    def close(self):
        if NAMED:
            self.client().drop_database(self.database)
        for client in self._clients:
            client.close()
        if self.process and self.process.poll() is None:
            self.kill()


@pytest.fixture
def mongo_server(tmp_path_factory):
    servers = []

    def make(user=None, tls=False):
        if NAMED and (user or tls):
            pytest.skip("needs a server of its own making, not that of LOGFOLD_TEST_MONGO_URI")
        folder = tmp_path_factory.mktemp("mongo")
        ca = Authority(folder) if tls else None
        servers.append(Mongo(folder, user, ca.issue("server") if ca else None, ca))
        return servers[-1].start()

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def mongo(mongo_server):
    return mongo_server()
