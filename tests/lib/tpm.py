"""A software TPM (swtpm) that tpm2-tools speak to, with the keys that Azure's SDKs make."""

from __future__ import annotations

import base64
import os
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

EK, SRK = "0x81010001", "0x81000001"
# Attributes of the storage root key's template in Azure's SDKs.
SRK_ATTRIBUTES = "restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda"


class Tpm:
    """One TPM, with an endorsement key and a storage root key; `kind` is rsa or ecc."""

    def __init__(self, folder: Path, kind: str = "rsa") -> None:
        self.folder = folder
        state = folder / "tpm"
        state.mkdir(parents=True)
        # TCG's TCTI takes the port behind the first one for control.
        self.port = port = _pair_of_ports()
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--server", f"type=tcp,port={port}",
             "--ctrl", f"type=tcp,port={port + 1}", "--flags", "not-need-init,startup-clear"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self.environment = {**os.environ, "TPM2TOOLS_TCTI": f"swtpm:host=127.0.0.1,port={port}"}
        _reachable(port)
        self.run("tpm2_createek", "-G", kind, "-c", EK, "-u", "ek.pub")
        algorithm = {"rsa": "rsa2048:null:aes128cfb", "ecc": "ecc256:null:aes128cfb"}[kind]
        self.run("tpm2_createprimary", "-C", "o", "-G", algorithm, "-a", SRK_ATTRIBUTES, "-c", "srk.ctx")
        self.run("tpm2_evictcontrol", "-C", "o", "-c", "srk.ctx", SRK)
        self.run("tpm2_flushcontext", "-t")
        self.run("tpm2_readpublic", "-c", SRK, "-o", "srk.pub")

    def __enter__(self) -> "Tpm":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)

    @property
    def keys(self) -> dict[str, str]:
        """Both public keys as a device sends them."""
        both = {"endorsementKey": "ek.pub", "storageRootKey": "srk.pub"}
        return {name: base64.b64encode((self.folder / file).read_bytes()).decode() for name, file in both.items()}

    def run(self, *words: str) -> str:
        done = subprocess.run(words, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout

    def activate(self, sealed: str) -> None:
        """Takes a sealed key apart as Azure's SDKs do, and loads it: TPM2_ActivateCredential, TPM2_Import, TPM2_Load."""
        data, parts = base64.b64decode(sealed), []
        while data:
            length = 2 + struct.unpack(">H", data[:2])[0]
            parts.append(data[:length])
            data = data[length:]
        assert len(parts) == 6, f"{len(parts)} parts"
        credential, secret, duplicate, seed, public, _ = parts
        # The header is tpm2-tools' own.
        (self.folder / "credential").write_bytes(struct.pack(">II", 0xBADCC0DE, 1) + credential + secret)
        for name, part in (("duplicate", duplicate), ("seed", seed), ("public", public)):
            (self.folder / name).write_bytes(part)
        self.run("tpm2_startauthsession", "--policy-session", "-S", "session")
        self.run("tpm2_policysecret", "-S", "session", "-c", "e")
        self.run("tpm2_activatecredential", "-c", SRK, "-C", EK, "-i", "credential", "-o", "inner", "-P", "session:session")
        self.run("tpm2_flushcontext", "session")
        self.run("tpm2_import", "-C", SRK, "-u", "public", "-r", "private", "-k", "inner", "-i", "duplicate", "-s", "seed")
        self.run("tpm2_flushcontext", "-t")
        self.run("tpm2_load", "-C", SRK, "-u", "public", "-r", "private", "-c", "key.ctx")

    def sign(self, text: str) -> bytes:
        """HMAC-SHA256 with the key that was activated last; the key itself never leaves the TPM."""
        (self.folder / "message").write_text(text)
        self.run("tpm2_hmac", "-c", "key.ctx", "-g", "sha256", "-o", "signature", "message")
        self.run("tpm2_flushcontext", "-t")
        return (self.folder / "signature").read_bytes()


class Simulator:
    """Speaks the protocol of Microsoft's TPM simulator, the only one over a socket that tss.js knows, and hands its commands to an
    swtpm: the ports are one for commands, the next one for the platform."""

    COMMAND, POWER_ON, NV_ON, HANDSHAKE, SESSION_END = 8, 1, 11, 15, 20

    def __init__(self, tpm: Tpm) -> None:
        self.tpm = tpm
        self.port = _pair_of_ports()
        self.listeners = [socket.create_server(("127.0.0.1", port)) for port in (self.port, self.port + 1)]
        for listener in self.listeners:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def __enter__(self) -> "Simulator":
        return self

    def __exit__(self, *_: object) -> None:
        for listener in self.listeners:
            # Else whoever waits in `accept` would hold the port.
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as asked:
            while word := asked.read(4):
                request = struct.unpack(">I", word)[0]
                if request == self.HANDSHAKE:
                    asked.read(4)
                    client.sendall(struct.pack(">III", 1, 0, 0))
                elif request in (self.POWER_ON, self.NV_ON):
                    client.sendall(bytes(4))
                elif request == self.COMMAND:
                    _locality, length = struct.unpack(">BI", asked.read(5))
                    answer = self._command(asked.read(length))
                    client.sendall(struct.pack(">I", len(answer)) + answer + bytes(4))
                else:
                    assert request == self.SESSION_END, f"request {request} of the simulator's protocol"
                    return

    def _command(self, command: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.tpm.port)) as tpm, tpm.makefile("rb") as answer:
            tpm.sendall(command)
            head = answer.read(10)
            return head + answer.read(struct.unpack(">I", head[2:6])[0] - 10)


def _pair_of_ports() -> int:
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            try:
                other.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def _reachable(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port + 1)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("swtpm does not listen")
