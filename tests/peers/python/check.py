"""Judges the echo example with the client of the PyPI package `websockets`.

Starts no server: ../run does, and gives the addresses in the environment.
"""

import asyncio
import os
import signal
import socket
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.uri import parse_uri

DEADLINE = 10  # seconds a check
ECHO = os.environ["ECHO_ADDR"]  # max_message 32 MiB
SECURE = os.environ["SECURE_ADDR"]  # in TLS, max_message 32 MiB
SECURE_CA = os.environ["SECURE_CA"]  # the file of whom to trust there
LIMITED = os.environ["LIMITED_ADDR"]  # max_message 1 KiB
PROTOCOLS = os.environ["PROTOCOLS_ADDR"]  # protocols chat.v2, chat.v1
DRAIN = os.environ["DRAIN_ADDR"]  # for the last check alone, which ends it
DRAIN_PID = int(os.environ["DRAIN_PID"])

LIMIT = 1024
MIB = 1024 * 1024
TEXTS = ["", "a", "hello", "\0", "\u07ff\u0800\uffff", "\u03ba\u03cc\u03c3\u03bc\u03b5 \U0001f600\U0010ffff"]
SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, MIB]
CODES = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]

checks = []


def check(function):
    checks.append(function)
    return function


# --- Messages


@check
async def nothing_is_negotiated_that_was_only_offered():
    async with client(ECHO, compression="deflate") as ws:
        equal(ws.response.headers.get("Sec-WebSocket-Extensions"), None, "extensions")
        equal(ws.subprotocol, None, "subprotocol")
        await echoes(ws, "still an echo")


@check
async def texts_of_every_width_of_code_point():
    async with client(ECHO) as ws:
        for text in TEXTS:
            await echoes(ws, text)


@check
async def text_and_binary_of_every_length_form():
    async with client(ECHO) as ws:
        for size in SIZES:
            await echoes(ws, "x" * size)
            await echoes(ws, bytes(i * 31 & 255 for i in range(size)))


@check
async def messages_in_fragments():
    async with client(ECHO) as ws:
        await ws.send(["one ", "", "two ", "\U0001f600"])
        equal(await ws.recv(), "one two \U0001f600", "text")
        parts = [bytes([i]) * i * 100 for i in range(100)]
        await ws.send(parts)
        equal(await ws.recv(), b"".join(parts), "binary")


@check
async def text_cut_inside_its_code_points():
    async with client(ECHO) as ws:
        text = " ".join(TEXTS)
        await ws.send([bytes([byte]) for byte in text.encode()], text=True)
        equal(await ws.recv(), text, "text")


@check
async def a_fragmented_mebibyte():
    async with client(ECHO) as ws:
        await ws.send([b"x" * 1024] * 1024)
        equal(await ws.recv(), b"x" * MIB, "binary")


@check
async def many_small_messages_in_order():
    async with client(ECHO) as ws:
        messages = [b"binary %d" % i if i % 3 == 0 else f"text {i}" for i in range(2_000)]
        sending = asyncio.create_task(send_all(ws, messages))
        for message in messages:
            equal(await ws.recv(), message, "message")
        await sending


@check
async def two_clients_at_once():
    async with client(ECHO) as one, client(ECHO) as two:
        for i in range(200):
            await one.send(f"one {i}")
            await two.send(f"two {i}")
        for i in range(200):
            equal(await two.recv(), f"two {i}", "message")
            equal(await one.recv(), f"one {i}", "message")


@check
async def two_hundred_clients_at_once():
    async def visit(i):
        async with client(ECHO) as ws:
            for j in range(5):
                await echoes(ws, f"client {i}, message {j}")

    await asyncio.gather(*(visit(i) for i in range(200)))


# --- Pings


@check
async def pings_of_0_1_and_125_bytes():
    async with client(ECHO) as ws:
        for payload in [b"", b"x", bytes(range(125))]:
            # A pong with another payload leaves this waiting.
            await asyncio.wait_for(await ws.ping(payload), 5)
            await echoes(ws, "after the ping")


@check
async def a_ping_between_fragments():
    async with client(ECHO) as ws:

        async def parts():
            yield "one "
            await asyncio.wait_for(await ws.ping(b"between"), 5)
            yield "two"

        await ws.send(parts())
        equal(await ws.recv(), "one two", "text")


# --- Closing


@check
async def every_close_code_is_echoed():
    for code in CODES:
        ws = await client(ECHO)
        await ws.close(code, f"reason of {code} \u00e9")
        equal(received(ws), (code, f"reason of {code} \u00e9"), "close")


@check
async def a_close_reason_of_123_bytes():
    ws = await client(ECHO)
    reason = "\u00e9" * 61 + "."
    await ws.close(1000, reason)
    equal(received(ws), (1000, reason), "close")


@check
async def a_close_without_a_code():
    # Without a connection object, to see the bytes.
    raw = await Raw.open(ECHO)
    await raw.send(b"\x88\x80\0\0\0\0")
    equal(await raw.until_eof(), b"\x88\x00", "bytes after a Close without a code")


@check
async def nothing_is_echoed_after_a_close():
    raw = await Raw.open(ECHO)
    await raw.send(b"\x81\x81\0\0\0\0a" b"\x88\x82\0\0\0\0\x03\xe8" b"\x81\x81\0\0\0\0b")
    equal(await raw.until_eof(), b"\x81\x01a" b"\x88\x02\x03\xe8", "bytes")


@check
async def a_lost_client_harms_no_other():
    async with client(ECHO) as ws:
        raw = await Raw.open(ECHO)
        await raw.send(b"\x82\xff\0\0\0\0\0\x10\0\0\0\0\0\0half a message")
        raw.reset()
        await echoes(ws, "still here")


# --- What a client must not send


@check
async def text_that_is_not_utf8():
    for bad in [b"a\xff", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"a\xe2\x82"]:
        async with client(ECHO) as ws:
            await ws.send(bad, text=True)
            await closed_by_server(ws, 1007)


@check
async def bad_utf8_in_a_fragment_is_found_before_the_last():
    async with client(ECHO) as ws:

        async def parts():
            yield b"good "
            yield b"\xff"
            await ws.wait_closed()

        sending = asyncio.create_task(ws.send(parts(), text=True))
        await closed_by_server(ws, 1007)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


@check
async def messages_over_the_limit():
    for message in ["x" * (LIMIT + 1), b"x" * (LIMIT + 1), b"x" * MIB, [b"x" * LIMIT, b"x"]]:
        async with client(LIMITED) as ws:
            await echoes(ws, "x" * LIMIT)
            try:
                await ws.send(message)
            except ConnectionClosed:
                pass  # the server need not read to the end
            await closed_by_server(ws, 1009)


@check
async def a_close_reaches_a_client_that_is_still_sending():
    # Reads only once everything is sent: a server that closes TCP with bytes
    # unread resets the connection, and the Close is lost on the way.
    raw = await Raw.open(LIMITED)
    raw.writer.transport.pause_reading()
    await raw.send(b"\x82\xff" + MIB.to_bytes(8, "big") + bytes(4))
    await asyncio.sleep(0.2)
    for _ in range(16):
        await raw.send(bytes(MIB // 16))
    raw.writer.transport.resume_reading()
    data = await raw.until_eof()
    equal((data[:1], data[2:4]), (b"\x88", (1009).to_bytes(2, "big")), "Close")


# --- The handshake


@check
async def subprotocols():
    offers = [
        (["chat.v1", "chat.v2"], "chat.v2"),
        (["chat.v2", "chat.v1"], "chat.v2"),
        (["other", "chat.v1"], "chat.v1"),
        (["other"], None),
        (["CHAT.V1"], None),
        (None, None),
    ]
    for offered, chosen in offers:
        async with client(PROTOCOLS, subprotocols=offered) as ws:
            equal(ws.subprotocol, chosen, f"chosen of {offered}")
            await echoes(ws, "hello")


@check
async def a_foreign_origin_is_refused():
    for origin in ["https://evil.example", f"http://{ECHO}.evil.example", "null"]:
        try:
            async with client(ECHO, origin=origin):
                raise AssertionError(f"Origin {origin} got in")
        except InvalidStatus as error:
            equal(error.response.status_code, 403, f"status for Origin {origin}")
            if origin not in error.response.body.decode():
                raise AssertionError(f"the 403 does not say which origin it saw: {error.response.body}") from None


@check
async def the_hosts_own_origin_is_let_in():
    async with client(ECHO, origin=f"http://{ECHO}") as ws:
        await echoes(ws, "hello")


# --- TLS


@check
async def tls_messages_of_every_length_form():
    for version in [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]:
        trust = trusting()
        trust.minimum_version = trust.maximum_version = version
        async with secure_client(ssl=trust) as ws:
            spoken = ws.transport.get_extra_info("ssl_object").version()
            equal(spoken.replace(".", "_"), version.name, "version")
            for text in TEXTS:
                await echoes(ws, text)
            for size in SIZES:
                await echoes(ws, "x" * size)
                await echoes(ws, bytes(i * 31 & 255 for i in range(size)))


@check
async def tls_a_fragmented_mebibyte_and_a_ping():
    async with secure_client() as ws:
        await ws.send([b"x" * 1024] * 1024)
        equal(await ws.recv(), b"x" * MIB, "binary")
        await asyncio.wait_for(await ws.ping(b"payload"), 5)


@check
async def tls_every_close_code_is_echoed():
    for code in CODES:
        ws = await secure_client()
        await ws.close(code, f"reason of {code}")
        equal(received(ws), (code, f"reason of {code}"), "close")


@check
async def tls_a_violation_is_told_before_the_end():
    async with secure_client() as ws:
        await ws.send(b"a\xff", text=True)
        await closed_by_server(ws, 1007)


@check
async def tls_two_hundred_clients_at_once():
    async def visit(i):
        async with secure_client() as ws:
            for j in range(5):
                await echoes(ws, f"client {i}, message {j}")

    await asyncio.gather(*(visit(i) for i in range(200)))


@check
async def tls_is_not_spoken_by_name_alone():
    try:
        async with secure_client(ssl=ssl.create_default_context()):
            raise AssertionError("a certificate of nobody's is trusted")
    except ssl.SSLCertVerificationError:
        pass
    reader, writer = await asyncio.open_connection(*SECURE.split(":"))
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(-1), 5)
    writer.close()
    equal(answer[:12], b"HTTP/1.1 400", "answer to plain HTTP")


# --- The end


@check
async def sigterm_closes_with_1001_and_stops_accepting():
    try:
        idle = await client(DRAIN)
        talking = await client(DRAIN)
        await echoes(talking, "hello")
    finally:
        os.kill(DRAIN_PID, signal.SIGTERM)  # ../run waits for its end
    for ws in [idle, talking]:
        await closed_by_server(ws, 1001)
    try:
        ws = await asyncio.wait_for(connect(f"ws://{DRAIN}/", proxy=None), 2)
    except OSError:
        return
    await ws.close()
    raise AssertionError("a client got in after SIGTERM")


# --- What the checks use


def client(addr, compression=None, scheme="ws", **options):
    return connect(
        f"{scheme}://{addr}/",
        compression=compression,
        max_size=None,
        max_queue=None,
        ping_interval=None,
        close_timeout=10,
        proxy=None,
        **options,
    )


def secure_client(**options):
    return client(SECURE, scheme="wss", **{"ssl": trusting(), **options})


def trusting():
    return ssl.create_default_context(cafile=SECURE_CA)


class Raw:
    """A socket after its handshake: the peer's bytes, and nothing answered for us."""

    @classmethod
    async def open(cls, addr):
        self = cls()
        host, port = addr.split(":")
        self.reader, self.writer = await asyncio.open_connection(host, int(port))
        protocol = ClientProtocol(parse_uri(f"ws://{addr}/"))
        protocol.send_request(protocol.connect())
        self.writer.writelines(protocol.data_to_send())
        protocol.receive_data(await self.reader.readuntil(b"\r\n\r\n"))
        if protocol.handshake_exc is not None:
            raise protocol.handshake_exc
        return self

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def until_eof(self):
        data = await asyncio.wait_for(self.reader.read(-1), 10)
        self.writer.close()
        return data

    def reset(self):
        # Linger of no seconds: the close is a TCP reset.
        linger = (1).to_bytes(4, sys.byteorder) + (0).to_bytes(4, sys.byteorder)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


async def echoes(ws, message):
    await ws.send(message)
    equal(await ws.recv(), message, "echo")


async def send_all(ws, messages):
    for message in messages:
        await ws.send(message)


async def closed_by_server(ws, code):
    try:
        message = await ws.recv()
    except ConnectionClosed:
        # The code of the Close that came, None when TCP ended without one.
        equal(ws.protocol.close_rcvd and ws.protocol.close_rcvd.code, code, "close code")
        return
    raise AssertionError(f"a message of {len(message)} came instead of a close with {code}")


def received(ws):
    close = ws.protocol.close_rcvd
    return close and (close.code, close.reason)


def equal(seen, wanted, what):
    if type(seen) is not type(wanted) or seen != wanted:
        raise AssertionError(f"{what}: {seen!r:.80}, wanted {wanted!r:.80}")


async def main():
    passed = failed = 0
    for function in checks:
        try:
            await asyncio.wait_for(function(), DEADLINE)
            passed += 1
        except Exception as error:
            failed += 1
            reason = str(error) or type(error).__name__
            print(f"  websockets FAILED {function.__name__}: {reason}")
    print(f"websockets: {passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
