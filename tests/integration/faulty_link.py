"""A TCP link to a server that fails when it is told to.

    link = Link(server_port)     link.port: where a client connects
    link.cut()                   all its connections are reset
    link.tear()                  of the next request the first half arrives, then the connection is reset
    link.lose_answers()          requests arrive, answers do not, until the next cut()
    link.delay(seconds)          answers arrive so much later, until the next cut()
    link.close()
"""

import socket
import struct
import threading
import time


class Link:
    def __init__(self, server_port):
        self._server_port = server_port
        self._lock = threading.Lock()
        self._open = set()
        self._tears = self._loses = False
        self._delay_s = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server_port))
            except OSError:
                self._reset(client)
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add((client, server))
            for pump in (self._requests, self._answers):
                threading.Thread(target=self._pump, args=(pump, client, server), daemon=True).start()

    @staticmethod
    def _reset(*ends):
        for end in ends:
            try:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)  # wakes the other pump
            except OSError:
                pass
            end.close()

    def _pump(self, pump, client, server):
        try:
            pump(client, server)
        except OSError:
            pass
        with self._lock:
            mine = (client, server) in self._open
            self._open.discard((client, server))
        if mine:
            self._reset(client, server)

    def _requests(self, client, server):
        while data := client.recv(1 << 16):
            with self._lock:
                torn, self._tears = self._tears, False
            server.sendall(data[:len(data) // 2] if torn else data)
            if torn:
                return

    def _answers(self, client, server):
        while data := server.recv(1 << 16):
            time.sleep(self._delay_s)
            if not self._loses:
                client.sendall(data)

    def tear(self):
        with self._lock:
            self._tears = True

    def lose_answers(self):
        self._loses = True

    def delay(self, seconds):
        self._delay_s = seconds

    def cut(self):
        with self._lock:
            ends, self._open = self._open, set()
            self._tears = self._loses = False
            self._delay_s = 0
        for pair in ends:
            self._reset(*pair)

    def close(self):
        self._listener.close()
        self.cut()
