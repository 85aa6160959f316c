"""The certificates of a control plane, made by the openssl program."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.kube.harness.binaries import Missing

_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
# Strict clients refuse an authority without key usage, and a certificate that does not name its authority's key.
_CONFIGURATION = """[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign, digitalSignature
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth, serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost, DNS:kubernetes.default.svc, IP:127.0.0.1
"""


@dataclass(frozen=True, slots=True)
class Pair:
    certificate: Path
    key: Path


class Certificates:
    """An authority and what it signed, in a folder."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            raise Missing("the openssl program is not on PATH; the control plane's certificates are made with it")
        self._folder = folder
        folder.mkdir(parents=True)
        (folder / "openssl.cnf").write_text(_CONFIGURATION)
        self.authority = self._pair("authority")
        self._openssl("req", "-x509", *_CURVE, "-days", "3650", "-extensions", "authority",
                      "-subj", "/CN=test authority", "-config", "openssl.cnf",
                      "-keyout", "authority.key", "-out", "authority.crt")  # fmt: skip
        self.service_accounts = folder / "service-accounts.key"
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.service_accounts.name)

    def sign(self, name: str, subject: str) -> Pair:
        self._openssl("req", *_CURVE, "-subj", subject, "-config", "openssl.cnf",
                      "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "authority.crt", "-CAkey", "authority.key",
                      "-CAcreateserial", "-days", "3650", "-extfile", "openssl.cnf", "-extensions", "leaf",
                      "-out", f"{name}.crt")  # fmt: skip
        return self._pair(name)

    def _pair(self, name: str) -> Pair:
        return Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=self._folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")
