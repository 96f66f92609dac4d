"""Plain sockets that have logged in with SCRAM-SHA-256 and then say nothing: idle connections.

The client's side of RFC 7677 in a few lines, with its keys derived once, so that opening thousands
costs the server's work and not this script's.
"""

import base64
import hashlib
import hmac
import os
import socket
import struct

import tls_load
from servers import PASSWORD

_keys = {}


def _message(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


def _read(connection):
    head = b""
    while len(head) < 5:
        piece = connection.recv(5 - len(head))
        if not piece:
            raise ConnectionError("the server closed the connection")
        head += piece
    length = struct.unpack("!I", head[1:])[0] - 4
    body = b""
    while len(body) < length:
        body += connection.recv(length - len(body))
    if head[:1] == b"E":
        raise ConnectionError(body.decode(errors="replace"))
    return head[:1], body


def _salted(salt, iterations):
    if (salt, iterations) not in _keys:
        _keys[salt, iterations] = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), salt, iterations)
    return _keys[salt, iterations]


def log_in(server):
    """One connection that has reached ReadyForQuery."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    if getattr(server, "ssl_mode", "disable") == "require":
        connection = tls_load.encrypted(connection)
    start = struct.pack("!I", 196608) + f"user\0{server.user}\0database\0{server.database}\0\0".encode()
    connection.sendall(struct.pack("!I", len(start) + 4) + start)
    _read(connection)
    nonce = base64.b64encode(os.urandom(18)).decode()
    bare = f"n=,r={nonce}"
    first = ("n,," + bare).encode()
    connection.sendall(_message(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first))
    challenge = _read(connection)[1][4:].decode()
    fields = dict(part.split("=", 1) for part in challenge.split(","))
    salted = _salted(base64.b64decode(fields["s"]), int(fields["i"]))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    unsigned = f"c=biws,r={fields['r']}"
    transcript = f"{bare},{challenge},{unsigned}".encode()
    signature = hmac.digest(hashlib.sha256(client_key).digest(), transcript, "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature))).decode()
    connection.sendall(_message(b"p", f"{unsigned},p={proof}".encode()))
    while _read(connection)[0] != b"Z":
        pass
    return connection


def ask(connection, sql):
    """One simple query; its rows are thrown away."""
    connection.sendall(_message(b"Q", sql.encode() + b"\0"))
    while _read(connection)[0] != b"Z":
        pass


def open_pool(server, count):
    """That many idle connections."""
    return [log_in(server) for _ in range(count)]


def open_and_close(server, count):
    """Warms the server's own caches, so that they are not counted to the connections."""
    for connection in open_pool(server, count):
        connection.close()
