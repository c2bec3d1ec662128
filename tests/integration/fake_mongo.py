"""A MongoDB server that says what a test wants: for answers that the servers at hand never give.

    fake = fake_mongo()                      listens; one thread for each connection; ended with the test
    fake.answers["update"] = {…}             what is said to a command from now on: a document, or a function
                                             of the command that returns one, or raises Drop
    fake.heard("update")                     the commands that came, oldest first, their documents merged in
    fake.connections                         how many were made
    fake.become_a_primary()                  of a replica set of its own; else it is a server alone
    fake.slowly = 0.1                        seconds before each byte of an answer
"""

import socket
import struct
import threading
import time

import bson
import pytest

REPLY, QUERY, MESSAGE = 1, 2004, 2013


class Drop(Exception):
    """The connection is closed instead of an answer."""


def cursor(*documents, id=0, collection="entries"):
    return {"ok": 1.0, "cursor": {"id": bson.Int64(id), "ns": f"logfold.{collection}",
                                  "firstBatch": list(documents)}}


def greeting(_):
    return {"ok": 1.0, "ismaster": True, "helloOk": True, "maxBsonObjectSize": 16777216,
            "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000, "minWireVersion": 0,
            "maxWireVersion": 17, "readOnly": False, "logicalSessionTimeoutMinutes": 30}


def written(command):
    return {"ok": 1.0, "n": len(command.get("updates", [0])), "nModified": 0}


class FakeMongo:
    def __init__(self):
        self.answers = {"ismaster": greeting, "hello": greeting, "update": written, "insert": written,
                        "find": lambda _: cursor(), "aggregate": lambda _: cursor(),
                        "findandmodify": {"ok": 1.0, "value": None}}
        self.connections = 0
        self.slowly = 0
        self._heard = []
        self._open = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"mongodb://127.0.0.1:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def become_a_primary(self):
        address = self.uri.split("/")[2]
        member = {"setName": "rs", "setVersion": 1, "hosts": [address], "primary": address, "me": address,
                  "isWritablePrimary": True, "secondary": False}
        self.answers["ismaster"] = self.answers["hello"] = lambda command: greeting(command) | member

    def heard(self, name):
        return [command for command in list(self._heard) if next(iter(command)) == name]

    def close(self):
        self._listener.close()
        for connection in self._open:
            connection.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        stream = connection.makefile("rb")
        try:
            while header := stream.read(16):
                size, request, _, code = struct.unpack("<iiii", header)
                command = parse(code, stream.read(size - 16))
                self._heard.append(command)
                self._say(connection, message(code, request, self._answer(command)))
        except (Drop, OSError, struct.error):
            pass
        connection.close()

    def _answer(self, command):
        answer = self.answers.get(next(iter(command)).lower(), {"ok": 1.0})
        return answer(command) if callable(answer) else answer

    def _say(self, connection, data):
        if not self.slowly:
            connection.sendall(data)
            return
        for at in range(len(data)):
            time.sleep(self.slowly)
            connection.sendall(data[at:at + 1])


def documents(data):
    return bson.decode_all(data)


def parse(code, body):
    if code == QUERY:
        return documents(body[body.index(b"\0", 4) + 9:])[0]
    command, at = None, 4
    later = {}
    while at < len(body):
        kind, size = body[at], struct.unpack_from("<i", body, at + 1)[0]
        if kind == 0:
            command = documents(body[at + 1:at + 1 + size])[0]
        else:
            end = body.index(b"\0", at + 5)
            later[body[at + 5:end].decode()] = documents(body[end + 1:at + 1 + size])
        at += 1 + size
    return {**command, **later}


def message(code, request, document):
    data = bson.encode(document)
    if code == QUERY:
        body = struct.pack("<iqii", 8, 0, 0, 1) + data
        return struct.pack("<iiii", 16 + len(body), 1, request, REPLY) + body
    body = struct.pack("<iB", 0, 0) + data
    return struct.pack("<iiii", 16 + len(body), 1, request, MESSAGE) + body


@pytest.fixture
def fake_mongo():
    made = []

    def make():
        made.append(FakeMongo())
        return made[-1]

    yield make
    for fake in made:
        fake.close()
