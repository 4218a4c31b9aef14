"""A name server with moods, in a process of its own: `python -m tests.dns_server ADDRESS` listens on port 53.

The first label says what happens: `silent…` no answer, `nx…` there is no such name, `ill…` the server failed,
anything else is ADDRESS.
"""

import socket
import struct
import sys


def main(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        sys.stdout.write("53\n")
        sys.stdout.flush()
        while True:
            question, client = server.recvfrom(512)
            label = question[13 : 13 + question[12]].decode(errors="replace")
            if not label.startswith("silent"):
                server.sendto(_answer(question, label, address), client)


def _answer(question: bytes, label: str, address: str) -> bytes:
    end = question.index(b"\0", 12) + 5
    is_a = question[end - 4 : end - 2] == b"\0\1"
    code = 3 if label.startswith("nx") else 2 if label.startswith("ill") else 0
    found = code == 0 and is_a
    head = question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, int(found), 0, 0)
    record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(address) if found else b""
    return head + question[12:end] + record


if __name__ == "__main__":
    main(sys.argv[1])
