"""TLS servers that do what Python's ssl module cannot be told to do: new keys, late tickets, renegotiation. OpenSSL
through ctypes; the connections have the few methods of a socket that RawPlugin uses."""

import ctypes
import ctypes.util
import socket

_ssl = ctypes.CDLL(ctypes.util.find_library("ssl"), use_errno=True)
for _name in ("SSL_CTX_new", "SSL_new", "TLS_server_method"):
    getattr(_ssl, _name).restype = ctypes.c_void_p
_FILETYPE_PEM = 1
_CTRL_MIN_VERSION, _CTRL_MAX_VERSION = 123, 124
VERSIONS = {"1.2": 0x0303, "1.3": 0x0304}
_KEY_UPDATE_REQUESTED = 1
_ERROR_ZERO_RETURN = 6


def _pointer(value):
    return ctypes.c_void_p(value)


class OpenSslServer:
    """Stands in for an ssl.SSLContext. `connections` are all that were made, in order; `on_accept(socket)` may look at a
    socket first, and refuse it by raising OSError."""

    def __init__(self, certificate, key, *, version=None, tickets=None, on_accept=None):
        self.context = _pointer(_ssl.SSL_CTX_new(_pointer(_ssl.TLS_server_method())))
        assert _ssl.SSL_CTX_use_certificate_chain_file(self.context, str(certificate).encode()) == 1
        assert _ssl.SSL_CTX_use_PrivateKey_file(self.context, str(key).encode(), _FILETYPE_PEM) == 1
        if version is not None:
            for control in (_CTRL_MIN_VERSION, _CTRL_MAX_VERSION):
                assert _ssl.SSL_CTX_ctrl(self.context, control, ctypes.c_long(VERSIONS[version]), None) == 1
        if tickets is not None:
            assert _ssl.SSL_CTX_set_num_tickets(self.context, ctypes.c_size_t(tickets)) == 1
        self.on_accept = on_accept
        self.connections = []

    def wrap_socket(self, connection, server_side=True):
        assert server_side
        if self.on_accept is not None:
            self.on_accept(connection)
        made = OpenSslConnection(self.context, connection)
        self.connections.append(made)
        return made

    @property
    def resumed(self):
        """For each connection so far, whether it was resumed."""
        return [connection.resumed for connection in self.connections]


class OpenSslConnection:
    def __init__(self, context, connection):
        self.socket = connection
        self.ssl = _pointer(_ssl.SSL_new(context))
        _ssl.SSL_set_fd(self.ssl, connection.fileno())
        if _ssl.SSL_accept(self.ssl) != 1:
            self.close()
            raise OSError("the handshake failed")
        self.resumed = _ssl.SSL_session_reused(self.ssl) == 1

    def recv(self, size):
        buffer = ctypes.create_string_buffer(size)
        count = _ssl.SSL_read(self.ssl, buffer, size)
        if count > 0:
            return buffer.raw[:count]
        if _ssl.SSL_get_error(self.ssl, count) == _ERROR_ZERO_RETURN:
            return b""
        raise OSError("reading failed")

    def sendall(self, data):
        while data:
            count = _ssl.SSL_write(self.ssl, bytes(data), len(data))
            if count <= 0:
                raise OSError("writing failed")
            data = data[count:]

    def update_keys(self):
        """TLS 1.3: new keys for both directions; told with what is sent next."""
        assert _ssl.SSL_key_update(self.ssl, _KEY_UPDATE_REQUESTED) == 1

    def announce(self):
        """Sends what is to be told, without data."""
        return _ssl.SSL_do_handshake(self.ssl) == 1

    def new_ticket(self):
        """TLS 1.3: one more session ticket, which leaves with what is sent next."""
        assert _ssl.SSL_new_session_ticket(self.ssl) == 1

    def renegotiate(self):
        """TLS 1.2: asks for a new handshake on this connection."""
        assert _ssl.SSL_renegotiate(self.ssl) == 1
        return self.announce()

    def unwrap(self):
        """Says that this is the end (close_notify)."""
        _ssl.SSL_shutdown(self.ssl)

    def close(self):
        if self.ssl is None:
            return
        _ssl.SSL_free(self.ssl)
        self.ssl = None
        self.socket.close()


class Hello:
    """A client's first message, seen without taking it from the socket."""

    def __init__(self, connection):
        connection.settimeout(10)
        data = b""
        while len(data) < 5 or len(data) < 5 + int.from_bytes(data[3:5], "big"):
            data = connection.recv(1 << 14, socket.MSG_PEEK)
            if not data:
                raise OSError("closed before its first message")
        connection.settimeout(None)
        body = data[9:]
        at = 2 + 32
        self.session_id = body[at + 1:at + 1 + body[at]]
        at += 1 + body[at]
        at += 2 + int.from_bytes(body[at:at + 2], "big")
        at += 1 + body[at]
        end = at + 2 + int.from_bytes(body[at:at + 2], "big")
        at += 2
        self.extensions = {}
        while at < end:
            kind, size = (int.from_bytes(body[at + offset:at + offset + 2], "big") for offset in (0, 2))
            self.extensions[kind] = body[at + 4:at + 4 + size]
            at += 4 + size

    @property
    def ticket(self):
        """The ticket that it offers, of TLS 1.3 (extension 41) or 1.2 (35); empty where it offers none."""
        if offered := self.extensions.get(41):
            size = int.from_bytes(offered[2:4], "big")
            return offered[4:4 + size]
        return self.extensions.get(35, b"")

    @property
    def early_data(self):
        return 42 in self.extensions
