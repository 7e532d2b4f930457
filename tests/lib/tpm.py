"""A software TPM (swtpm) that tpm2-tools speak to, with the keys that Azure's SDKs make."""

from __future__ import annotations

import base64
import os
import socket
import struct
import subprocess
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
        port = _pair_of_ports()
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
