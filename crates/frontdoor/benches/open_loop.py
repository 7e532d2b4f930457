#!/usr/bin/env python3
"""PUT of a resource group in an open loop: a request begins when its time has come, whether or not those before have ended, and its
latency counts from that time. Asked for: a 99th percentile under 20 ms at 1,000 requests a second, load generator included.

    crates/frontdoor/benches/open_loop.py target/release/ferrohub [RATE [SECONDS]]

Starts a server of its own in a fresh folder. Standard library only.
"""
import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time

CONNECTIONS = 64
GROUPS = 500
READY_SECONDS = 30.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """A quickstart, served."""

    def __init__(self, program: str, folder: str) -> None:
        self.program = os.path.abspath(program)
        self.https, mqtt = free_port(), free_port()
        self.environment = {**os.environ, "FERROHUB_DATA_DIR": f"{folder}/data", "FERROHUB_CONFIG_DIR": f"{folder}/config"}
        ports = ["--data-dir", f"{folder}/data", "--https-port", str(self.https), "--mqtt-port", str(mqtt)]
        self.run("quickstart", "--once", *ports)
        self.process = subprocess.Popen(
            [self.program, "serve", *ports, "--metrics-port", str(free_port())],
            env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self.tls = ssl.create_default_context(cafile=f"{folder}/data/ca.pem")
        end = time.monotonic() + READY_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.https), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.1)
        self.run("az", "login")
        self.token = self.run("az", "account", "get-access-token", "--query", "accessToken", "-o", "tsv")
        self.subscription = self.run("az", "account", "show", "--query", "id", "-o", "tsv")

    def run(self, *words: str) -> str:
        done = subprocess.run([self.program, *words], env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(words)}: {done.stderr}")
        return done.stdout.strip()

    def request(self, number: int) -> bytes:
        body = json.dumps({"location": "westeurope", "tags": {"n": str(number)}})
        return (
            f"PUT /subscriptions/{self.subscription}/resourceGroups/rg{number % GROUPS}?api-version=2021-04-01 HTTP/1.1\r\n"
            f"Host: localhost\r\nAuthorization: Bearer {self.token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def call(self, request: bytes) -> int:
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        await self.reader.readexactly(length)
        return int(head.split(b" ", 2)[1])


async def load(server: Server, rate: float, seconds: float) -> None:
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(Connection(*await asyncio.open_connection("localhost", server.https, ssl=server.tls)))
    taken, wrong = [], []

    async def one(number: int, due: float) -> None:
        connection = await free.get()
        status = await connection.call(server.request(number))
        taken.append(time.perf_counter() - due)
        if status not in (200, 201):
            wrong.append(status)
        free.put_nowait(connection)

    async def phase(count: int) -> None:
        begun, calls = time.perf_counter(), set()
        for number in range(count):
            due = begun + number / rate
            if (left := due - time.perf_counter()) > 0:
                await asyncio.sleep(left)
            call = asyncio.create_task(one(number, due))
            calls.add(call)
            call.add_done_callback(calls.discard)
        await asyncio.gather(*calls)

    # The groups are made, and everything is warm.
    await phase(2 * GROUPS)
    taken.clear()
    begun = time.perf_counter()
    await phase(round(rate * seconds))
    took = time.perf_counter() - begun
    if wrong:
        sys.exit(f"answers that are none of 200 and 201: {wrong[:5]}")
    taken.sort()
    shown = ", ".join(f"p{part:g} {taken[min(len(taken) - 1, int(len(taken) * part / 100))] * 1000:.1f} ms" for part in (50, 90, 99, 99.9))
    print(f"{len(taken)} PUTs at {len(taken) / took:.0f}/s, open loop: {shown}, longest {taken[-1] * 1000:.1f} ms")


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    rate, seconds = float(sys.argv[2] if len(sys.argv) > 2 else 1000), float(sys.argv[3] if len(sys.argv) > 3 else 20)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(sys.argv[1], folder)
        try:
            asyncio.run(load(server, rate, seconds))
        finally:
            server.process.terminate()
            server.process.wait()


main()
