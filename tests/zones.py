"""A name server for what a test says: UDP and TCP on one port of loopback, long answers by TCP only."""

import contextlib
import socket
import socketserver
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Thread

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

SILENT = "silent"
"""In place of records: no answer."""

Zone = Mapping[tuple[str, str], Sequence[str] | str]
"""By name and kind the records as a zone file has them; or the code of an error, or SILENT. Names below exist, too."""


@dataclass
class Zones:
    """Where it listens, and what was asked, by which way."""

    place: str
    asked: list[tuple[str, str, str]] = field(default_factory=list)


@contextlib.contextmanager
def zones(zone: Zone) -> Iterator[Zones]:
    told: list[tuple[str, str, str]] = []
    names = {".".join(name.split(".")[depth:]) for name, _ in zone for depth in range(name.count(".") + 1)}

    def answer(wire: bytes, way: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        told.append((name, kind, way))
        found = zone.get((name, kind), ())
        if found == SILENT:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if isinstance(found, str):
            response.set_rcode(dns.rcode.from_text(found))
        elif found:
            response.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", kind, found))
        elif name not in names:
            response.set_rcode(dns.rcode.NXDOMAIN)
        try:
            return response.to_wire(max_size=512 if way == "udp" else 65535)
        except dns.exception.TooBig:
            response.answer.clear()
            response.flags |= dns.flags.TC
            return response.to_wire()

    class Datagram(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, server = self.request
            if (said := answer(wire, "udp")) is not None:
                server.sendto(said, self.client_address)

    class Stream(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while len(size := self.rfile.read(2)) == 2:
                said = answer(self.rfile.read(struct.unpack("!H", size)[0]), "tcp")
                if said is not None:
                    self.wfile.write(struct.pack("!H", len(said)) + said)

    class Tcp(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(Tcp(("127.0.0.1", 0), Stream))
        while True:  # the same port for both
            try:
                udp = stack.enter_context(socketserver.ThreadingUDPServer(tcp.server_address[:2], Datagram))
                break
            except OSError:
                tcp = stack.enter_context(Tcp(("127.0.0.1", 0), Stream))
        udp.daemon_threads = True
        for server in (tcp, udp):
            thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        host, port = tcp.socket.getsockname()
        assert udp.socket.type == socket.SOCK_DGRAM
        yield Zones(f"{host}:{port}", told)
