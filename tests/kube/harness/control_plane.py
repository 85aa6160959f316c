"""A Kubernetes control plane of one's own on loopback: etcd, kube-apiserver and kube-controller-manager.

Several may run at once. Its processes end with it, and with pytest, however that ends.
"""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx2
from tests.kube.harness.api import Api
from tests.kube.harness.audit import AuditLog
from tests.kube.harness.binaries import Binaries
from tests.kube.harness.certificates import Certificates, Pair
from tests.kube.harness.processes import Processes, send

_READY_SECONDS = 60
# Below what systems hand out to outgoing connections: one of those could take the port of a server that was killed,
# and a client that asks for such a port while nobody listens can even connect to itself.
_PORTS = range(20_000, 32_000)


class ControlPlane:
    """Launched at once; ``kubeconfig`` is the admin's."""

    def __init__(self, binaries: Binaries, folder: Path) -> None:
        self.folder = folder
        self.kubectl = binaries.kubectl
        self.logs = folder / "logs"
        self._binaries = binaries
        self.certificates = Certificates(folder / "certificates")
        self.serving = self.certificates.sign("server", "/CN=kube-apiserver")
        self.admin = self.certificates.sign("admin", "/O=system:masters/CN=admin")
        self._etcd_port, peer_port, self.port = free_ports(3)
        self.server = f"https://127.0.0.1:{self.port}"
        self.kubeconfig = self.write_kubeconfig("admin", client_of(self.admin))
        self.api = Api(self.kubeconfig)
        self.audit = AuditLog(folder)
        self._processes = Processes()
        self._api_server: subprocess.Popen[bytes] | None = None
        try:
            self._start_etcd(peer_port)
            self.start_api_server()
            self._start_controller_manager()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.api.close()
        self._processes.close()

    def kill_api_server(self) -> None:
        """With SIGKILL; etcd keeps what it had."""
        assert self._api_server is not None
        self._processes.kill(self._api_server)
        self._api_server = None

    @property
    def pids(self) -> list[int]:
        return self._processes.pids

    def ensure_api_server(self) -> None:
        """However a test left it."""
        if self._api_server is None:
            self.start_api_server()
        self.resume_api_server()

    def pause_api_server(self) -> None:
        """With SIGSTOP: connections stay open and nothing answers."""
        assert self._api_server is not None
        send(self._api_server, signal.SIGSTOP)

    def resume_api_server(self) -> None:
        assert self._api_server is not None
        send(self._api_server, signal.SIGCONT)

    def start_api_server(self) -> None:
        """On the same port as before; returns when it is ready."""
        self._api_server = self._start(
            "kube-apiserver",
            self._binaries.api_server,
            etcd_servers=f"http://127.0.0.1:{self._etcd_port}",
            bind_address="127.0.0.1",
            advertise_address="127.0.0.1",
            endpoint_reconciler_type="none",
            secure_port=self.port,
            tls_cert_file=self.serving.certificate,
            tls_private_key_file=self.serving.key,
            client_ca_file=self.certificates.authority.certificate,
            service_account_issuer="https://kubernetes.default.svc",
            service_account_key_file=self.certificates.service_accounts,
            service_account_signing_key_file=self.certificates.service_accounts,
            service_cluster_ip_range="198.19.0.0/24",
            authorization_mode="RBAC",
            audit_policy_file=self.audit.policy,
            audit_log_path=self.audit.path,
        )
        self._wait("kube-apiserver", self._api_server, self._is_ready)

    def kubeconfig_for(
        self, service_account: str, namespace: str, seconds: int = 3600, server: str | None = None
    ) -> Path:
        """Give the file with which one acts as a service account that is there."""
        token = token_of(self.api, service_account, namespace, seconds)
        return self.write_kubeconfig(f"{namespace}-{service_account}", {"token": token}, server)

    def write_kubeconfig(self, name: str, user: dict[str, str], server: str | None = None) -> Path:
        server = server or self.server
        path = self.folder / f"{name}-{server.rpartition(':')[2]}.kubeconfig"
        cluster = {"server": server, "certificate-authority": str(self.certificates.authority.certificate)}
        return write_kubeconfig(path, cluster, user)

    def tail(self, lines: int = 15) -> str:
        """The last warnings and errors of each log."""
        told = []
        for log in sorted(self.logs.glob("*.log")):
            grave = [line for line in log.read_text(errors="replace").splitlines() if not line.startswith("I")]
            told += [f"--- {log}", *grave[-lines:]]
        return "\n".join(told)

    def _start_etcd(self, peer_port: int) -> None:
        client, peer = (f"http://127.0.0.1:{port}" for port in (self._etcd_port, peer_port))
        # Nothing outlives the test, so nothing need reach the disk.
        self._start(
            "etcd",
            self._binaries.etcd,
            "--unsafe-no-fsync",
            data_dir=self.folder / "etcd",
            listen_client_urls=client,
            advertise_client_urls=client,
            listen_peer_urls=peer,
            initial_advertise_peer_urls=peer,
            initial_cluster=f"default={peer}",
            log_level="warn",
        )

    def _start_controller_manager(self) -> None:
        pair = self.certificates.sign("controller-manager", "/CN=system:kube-controller-manager")
        kubeconfig = self.write_kubeconfig("controller-manager", client_of(pair))
        process = self._start(
            "kube-controller-manager",
            self._binaries.controller_manager,
            "--use-service-account-credentials",
            kubeconfig=kubeconfig,
            authentication_kubeconfig=kubeconfig,
            authorization_kubeconfig=kubeconfig,
            root_ca_file=self.certificates.authority.certificate,
            service_account_private_key_file=self.certificates.service_accounts,
            leader_elect="false",
            secure_port=0,
            kube_api_qps=500,
            kube_api_burst=1000,
            concurrent_namespace_syncs=30,
        )
        # The controllers run when the first of what they make is there.
        self._wait("kube-controller-manager", process, self._has_default_service_account)

    def _start(self, name: str, program: Path, *switches: str, **flags: Any) -> subprocess.Popen[bytes]:
        options = [f"--{flag.replace('_', '-')}={value}" for flag, value in flags.items()]
        return self._processes.start([str(program), *switches, *options], self.logs / f"{name}.log")

    def _wait(self, name: str, process: subprocess.Popen[bytes], ready: Any) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not ready():
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with exit code {process.returncode}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} was not ready within {_READY_SECONDS} s\n{self.tail()}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            return self.api.answers("/readyz")
        except httpx2.TransportError:
            return False

    def _has_default_service_account(self) -> bool:
        return bool(self.api.get("/api/v1/namespaces/default/serviceaccounts")["items"])


class GivenCluster:
    """A cluster of the person's own, by its kubeconfig."""

    def __init__(self, kubeconfig: Path, kubectl: Path, folder: Path) -> None:
        self.kubeconfig = kubeconfig
        self.kubectl = kubectl
        self.folder = folder
        self.api = Api(kubeconfig)
        self.server = self.api.server

    def stop(self) -> None:
        self.api.close()

    def kubeconfig_for(self, service_account: str, namespace: str, seconds: int = 3600) -> Path:
        token = token_of(self.api, service_account, namespace, seconds)
        cluster = {"server": self.server}
        if self.api.authority:
            cluster["certificate-authority"] = str(self.api.authority)
        return write_kubeconfig(self.folder / f"{namespace}-{service_account}.kubeconfig", cluster, {"token": token})


def client_of(pair: Pair) -> dict[str, str]:
    return {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}


def token_of(api: Api, service_account: str, namespace: str, seconds: int) -> str:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
    return str(api.create(path, {"spec": {"expirationSeconds": seconds}})["status"]["token"])


def write_kubeconfig(path: Path, cluster: dict[str, str], user: dict[str, str]) -> Path:
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    path.write_text(json.dumps(body))
    return path


def free_ports(count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found
