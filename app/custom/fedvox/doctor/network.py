"""Checks of the way to the server: name, port, TLS."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from fedvox.doctor.kit import Kit
from fedvox.errors import ConfigError
from fedvox.finding import FAIL, Finding, passed

TIMEOUT = 20.0
"""Seconds for a connection: a busy machine answers late, a firewall not at all."""
LOCAL = ("localhost", "127.0.0.1", "::1")
OWN = 10.0
"""The same for a server on this very machine, which may be another program that says nothing."""
VERDICT = 10.0
"""Seconds in which a server speaks first, or ends the connection of a certificate it refuses."""
HTTP2 = "h2"
HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""Preface and empty SETTINGS frame with which a gRPC client opens (RFC 9113, section 3.4)."""


def check_dns(kit: Kit) -> Finding:
    """Does the server's name lead to an address?"""
    host, _ = kit.target
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError as error:
        return Finding(
            "dns",
            FAIL,
            f"the server's name '{host}' leads to no address ({error.strerror or error})",
            "ask your network's staff to resolve it, or add a line to /etc/hosts",
        )
    here = ": this very machine, right in a rehearsal only" if host in LOCAL else ""
    return passed("dns", f"{host} is {', '.join(sorted(addresses))}{here}")


def check_port(kit: Kit) -> Finding:
    """Does the server's port answer, with a certificate of our root CA, and does it accept ours?"""
    if kit.kind == "server":
        return _check_own_ports(kit)
    host, port = kit.target
    context = _context(kit)
    try:
        with _connected(context, host, host, port, TIMEOUT) as secured:
            version = secured.version()
            refused = _refused(secured)
    except ssl.SSLError as error:
        return Finding(
            "port",
            FAIL,
            f"{host}:{port} answers, but not as the server of this kit ({error.reason or error})",
            "compare the root CA's fingerprint with the operator's; a proxy that opens TLS must "
            "let this connection pass",
        )
    except OSError as error:
        return Finding(
            "port",
            FAIL,
            f"{host}:{port} does not answer ({error.strerror or error})",
            "the machine is there, but no server listens: ask the operator whether it runs"
            if isinstance(error, ConnectionRefusedError)
            else f"let outgoing TCP to port {port} pass the firewall, or wait until the server "
            "runs",
        )
    if refused:
        return Finding(
            "port",
            FAIL,
            f"{host}:{port} refuses this kit's certificate",
            "ask the operator for a new kit; its certificate is expired or of another project",
        )
    return passed("port", f"{host}:{port} answers over {version} with this project's certificate")


def _refused(secured: ssl.SSLSocket) -> bool:
    """In TLS 1.3 the server judges our certificate after our handshake: it then ends the line."""
    secured.settimeout(VERDICT)
    try:
        if secured.selected_alpn_protocol() == HTTP2:
            secured.sendall(HTTP2_HELLO)
        return secured.recv(1) == b""
    except TimeoutError:
        return False
    except (ssl.SSLError, ConnectionError):
        return True


def _context(kit: Kit) -> ssl.SSLContext:
    """The kit's certificate, to be shown to a server that has one of the same root CA.

    Raises:
        ConfigError: a file of the kit is missing or damaged, which is no fault of the network.
    """
    files = (kit.folder / "startup/rootCA.pem", *kit.credentials)
    missing = ", ".join(path.name for path in files if not path.is_file())
    if missing:
        raise ConfigError(f"not tried: {missing} is missing in startup/; unpack the kit afresh")
    try:
        context = ssl.create_default_context(cafile=str(files[0]))
        context.load_cert_chain(*kit.credentials)
    except OSError as error:  # an SSLError is one too
        reason = getattr(error, "reason", None) or error.strerror
        names = ", ".join(path.name for path in files)
        raise ConfigError(
            f"not tried: one of {names} in startup/ is damaged ({reason}); unpack the kit afresh"
        ) from None
    context.set_alpn_protocols([HTTP2])  # a gRPC server ends any other connection
    return context


@contextmanager
def _connected(
    context: ssl.SSLContext, address: str, host: str, port: int, patience: float
) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection((address, port), timeout=patience) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        yield secured


def _check_own_ports(kit: Kit) -> Finding:
    """Are the server's ports free, or does the server of this kit hold them already?"""
    states = []
    for host, port in kit.targets:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
                states.append(f"port {port} is free")
                continue
            except OSError as error:
                reason = error.strerror
        if not _own_server(kit, host, port):
            return Finding(
                "port",
                FAIL,
                f"port {port} cannot be used ({reason})",
                "stop the program that holds it, or provision another port",
            )
        states.append(f"this project's server answers on port {port}")
    return passed("port", ", ".join(states))


def _own_server(kit: Kit, host: str, port: int) -> bool:
    try:
        with _connected(_context(kit), "localhost", host, port, OWN):
            return True
    except OSError:
        return False
