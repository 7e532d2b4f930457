"""What a hosts file and a port forward would do for clients that dial port 443 of a service's own name."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from lib.server import Server


def lead_here(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """Names below `localhost` lead to this machine, and port 443 to the server."""
    look_up = socket.getaddrinfo

    def here(host: Any, port: Any, *more: Any, **options: Any) -> Any:
        name = "127.0.0.1" if isinstance(host, str) and host.endswith(".localhost") else host
        return look_up(name, server.https_port if port == 443 else port, *more, **options)

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca)
    monkeypatch.setattr(socket, "getaddrinfo", here)
