"""paho-mqtt with answers that can be waited for."""

from __future__ import annotations

import json
import queue
import ssl
import threading
import time
from typing import Any

import paho.mqtt.client as paho

from lib.keys import Chain
from lib.server import Server

SECONDS = 30.0


class Refused(AssertionError):
    """A CONNACK with a code other than 0."""

    def __init__(self, code: int) -> None:
        super().__init__(f"CONNACK {code}: {paho.connack_string(code)}")
        self.code = code


class Dropped(AssertionError):
    """The connection ended without the answer that was waited for."""


class Mqtt:
    """A connection to the MQTT port; close it, or use it with `with`."""

    transport = "tcp"

    def __init__(
        self, server: Server, client_id: str, username: str, password: str | None = None, chain: Chain | None = None,
        host: str = "localhost", clean: bool = True, port: int | None = None,
    ) -> None:
        self.session_present = False
        self.client = paho.Client(
            client_id=client_id, clean_session=clean, protocol=paho.MQTTv311, transport=self.transport, reconnect_on_failure=False
        )
        self.prepare()
        self.client.tls_set(
            ca_certs=server.ca, cert_reqs=ssl.CERT_REQUIRED, tls_version=ssl.PROTOCOL_TLS_CLIENT,
            certfile=str(chain.certificate_file) if chain else None, keyfile=str(chain.key_file) if chain else None,
        )
        self.client.username_pw_set(username, password)
        self.codes: queue.Queue[int | None] = queue.Queue()
        self.granted: queue.Queue[int | None] = queue.Queue()
        self.messages: queue.Queue[tuple[str, bytes] | None] = queue.Queue()
        self.closed = threading.Event()
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda _client, _data, _mid, granted: self.granted.put(granted[0])
        self.client.on_message = lambda _client, _data, message: self.messages.put((message.topic, message.payload))
        self.client.on_disconnect = self._on_disconnect
        # Long enough for a busy machine, short enough that a test of silence ends.
        self.client.connect(host, port or server.mqtt_port, keepalive=60)
        self.client.loop_start()
        code = self._next(self.codes, "CONNACK")
        if code != 0:
            self.close()
            raise Refused(code)

    def prepare(self) -> None:
        """What is set before connecting."""

    def _on_connect(self, _client: Any, _data: Any, flags: dict[str, int], code: int) -> None:
        self.session_present = bool(flags["session present"])
        self.codes.put(code)

    def _on_disconnect(self, *_arguments: Any) -> None:
        self.closed.set()
        for waiting in (self.codes, self.granted, self.messages):
            waiting.put(None)

    def _next(self, waiting: queue.Queue[Any], what: str) -> Any:
        try:
            found = waiting.get(timeout=SECONDS)
        except queue.Empty:
            self.close()
            raise AssertionError(f"no {what} within {SECONDS:.0f} s") from None
        if found is None:
            self.close()
            raise Dropped(f"the connection ended before {what}")
        return found

    def __enter__(self) -> "Mqtt":
        return self

    def __exit__(self, *_what: object) -> None:
        self.close()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def subscribe(self, topic: str, qos: int = 1) -> int:
        """Gives the granted QoS, 128 where the server refuses."""
        self.client.subscribe(topic, qos)
        return int(self._next(self.granted, f"SUBACK for {topic}"))

    def publish(self, topic: str, payload: str | bytes | dict[str, Any] | None = None, qos: int = 1) -> None:
        """Publishes and, at QoS 1, waits for the PUBACK."""
        data = json.dumps(payload) if isinstance(payload, dict) else payload
        sent = self.client.publish(topic, data, qos)
        if qos == 0:
            return
        deadline = time.monotonic() + SECONDS
        try:
            while not sent.is_published():
                if self.closed.is_set() or time.monotonic() > deadline:
                    raise Dropped(f"no PUBACK for {topic}")
                sent.wait_for_publish(0.2)
        except RuntimeError as gone:
            # How paho says that the connection had ended before.
            raise Dropped(f"no PUBACK for {topic}") from gone

    def receive(self, prefix: str = "") -> tuple[str, bytes]:
        """The next message, whose topic must start with `prefix`."""
        topic, payload = self._next(self.messages, f"a message on {prefix or 'any topic'}")
        assert topic.startswith(prefix), f"{topic}: {payload!r}"
        return topic, payload
