"""The server of the PyPI package `websockets`, with compression for whoever offers it.

What it does is in the path, as in script.mjs.
"""

import asyncio
import http
import os
import ssl
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import serve

MAX_MESSAGE = 32 * 1024 * 1024
ends = {}  # how the sockets ended that were opened with an id: "CODE REASON"


def end(id):
    return ends.setdefault(id, asyncio.get_running_loop().create_future())


def refuse(ws, request):
    if urlsplit(request.path).path == "/refuse":
        return ws.respond(http.HTTPStatus.FORBIDDEN, "not you")


async def talk(ws):
    url = urlsplit(ws.request.path)
    asked = {name: values[0] for name, values in parse_qs(url.query).items()}
    try:
        await script(ws, url.path, asked)
        await ws.wait_closed()
    finally:
        if "id" in asked:
            close = ws.protocol.close_rcvd
            end(asked["id"]).set_result(f"{close.code} {close.reason}" if close else "1006 ")


async def script(ws, path, asked):
    match path:
        case "/echo":
            async for message in ws:
                await ws.send(message)
        case "/request":
            headers = ws.request.headers.raw_items()
            await ws.send("\n".join(f"{name.lower()}: {value}" for name, value in headers))
        case "/fragments":

            async def parts():
                yield "one "
                await ws.ping("between")
                for part in ["", "two ", "\U0001f600"]:
                    yield part

            await ws.send(parts())
            await ws.send([bytes([i]) * i * 100 for i in range(100)])
        case "/pings":
            for size in [0, 1, 125]:
                # A pong with another payload leaves this waiting.
                await (await ws.ping("p" * size))
                await ws.send(f"pong of {size}")
        case "/many":
            for i in range(2_000):
                await ws.send(f"message {i}")
        case "/close" if "code" in asked:
            await ws.close(int(asked["code"]), asked.get("reason", ""))
        case "/close":
            ws.protocol.send_close()
            ws.send_data()
        case "/lost":
            ws.transport.abort()
        case "/closed":
            await ws.send(await end(asked["id"]))
        case _:
            await ws.close(4404, f"no script for {path}")


def protocol(ws, offered):
    return next((name for name in ["chat.v2", "chat.v1"] if name in offered), None)


async def main():
    tls = None
    if "TLS_CERT" in os.environ:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(os.environ["TLS_CERT"], os.environ["TLS_KEY"])
    settings = {
        "process_request": refuse,
        "select_subprotocol": protocol,
        "compression": "deflate",
        "max_size": MAX_MESSAGE,
        "ssl": tls,
    }
    async with serve(talk, "127.0.0.1", 0, **settings) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"listening on {'wss' if tls else 'ws'}://127.0.0.1:{port}", flush=True)
        await server.wait_closed()


asyncio.run(main())
