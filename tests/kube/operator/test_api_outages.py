"""The API server goes and comes back, hangs, and forgets who we are: afterwards every edit is in force within a minute,
and the operator that was there is still the one that leads."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.kube.granted import Granted
from tests.kube.harness.api import Api, ApiError
from tests.kube.harness.control_plane import ControlPlane
from tests.kube.harness.kubectl import Kubectl
from tests.kube.operator.edits import Edited, in_seconds
from tests.kube.operator.installation import Installation, Process, wait_for

from ragindex_db import config_maps, indexes

LONG = os.environ.get("RAGINDEX_KUBE") == "long"
KILLS, OBJECTS = (20, 10) if LONG else (2, 4)
CONVERGED_SECONDS = 60
#: Longer than the Lease lasts, and than any watch may be silent.
LONG_OUTAGE = 100.0


@pytest.fixture
def account(own_control_plane: ControlPlane, api: Api, kubectl: Kubectl, namespace: str) -> Iterator[Path]:
    """Of an operator that may what ``k8s/rbac`` allows and nothing else, unlike an admin, whom a new API server knows
    from the first moment."""
    granted = Granted(api, kubectl, namespace)
    granted("operator-role.yaml")
    granted("operator-watched-namespaced.yaml", namespace=namespace)
    yield own_control_plane.kubeconfig_for("ragindex-operator", namespace)
    own_control_plane.ensure_api_server()
    granted.take_back()


def started(installation: Installation, kubeconfig: Path) -> Process:
    return installation.operator(kubeconfig=kubeconfig, namespaces=json.dumps([installation.namespace]))


def holder(api: Api, installation: Installation) -> str:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{installation.namespace}/leases/ragindex-operator"
    return str(api.get(path)["spec"]["holderIdentity"])


def is_well(process: Process) -> bool:
    return process.get("/healthz").is_success


def test_after_each_kill_of_the_api_server_every_edit_is_in_force_within_a_minute(
    own_control_plane: ControlPlane, api: Api, bare_installation: Installation, account: Path
) -> None:
    installation = bare_installation
    operator = started(installation, account)
    edited = Edited(api, installation, OBJECTS)
    edited.until_in_force(60)
    leader = holder(api, installation)
    chance = random.Random(5)
    took = []
    for number in range(KILLS):
        before = chance.sample(edited.names, OBJECTS // 2)
        for name in before:
            edited.edit(name)
        own_control_plane.kill_api_server()
        # The Lease runs out in some of them; in most the API server is back before anybody asks twice.
        time.sleep(40 if number % 7 == 6 else chance.choice([0, 0, 2, 8]) if LONG else 0)
        own_control_plane.start_api_server()
        returned = time.monotonic()
        for name in set(edited.names) - set(before):
            edited.edit(name)
        edited.until_in_force(CONVERGED_SECONDS - (time.monotonic() - returned))
        took.append(time.monotonic() - returned)
    print(f"\n{KILLS} kills, {OBJECTS} objects: in force {in_seconds(took)} after its return")  # noqa: T201
    assert operator.popen.poll() is None
    assert holder(api, installation) == leader, "nobody else was there to lead"
    wait_for(lambda: is_well(operator), "a healthy operator", 60, operator)
    cron_jobs = api.get(f"/apis/batch/v1/namespaces/{installation.namespace}/cronjobs")["items"]
    assert len(cron_jobs) == OBJECTS
    with installation.database.begin() as connection:
        copies = [config_maps.versions(connection, row.id) for row in indexes.list_live(connection, installation.name)]
    read = sum(map(edited.reads_config_map, edited.names))
    assert [version is not None for copy in copies for version in copy.values()] == [True] * read, "forbidden, not gone"


@pytest.mark.long
def test_an_api_server_that_hangs_costs_time_outs_and_no_more(
    own_control_plane: ControlPlane, api: Api, bare_installation: Installation, account: Path
) -> None:
    installation = bare_installation
    operator = started(installation, account)
    edited = Edited(api, installation, 4)
    edited.until_in_force(60)
    leader = holder(api, installation)
    for seconds in (10.0, 45.0):
        for name in edited.names:
            edited.edit(name)
        own_control_plane.pause_api_server()
        time.sleep(seconds)
        own_control_plane.resume_api_server()
        took = edited.until_in_force(CONVERGED_SECONDS)
        print(f"\nhung for {seconds:.0f} s: in force {took:.1f} s later")  # noqa: T201
    assert operator.popen.poll() is None
    assert holder(api, installation) == leader


@contextmanager
def probed(processes: list[Process]) -> Iterator[list[str]]:
    """What ``/healthz`` said that is not well, asked as a kubelet asks."""
    over, told = threading.Event(), []

    def probe() -> None:
        while not over.wait(2):
            for process in processes:
                answer = process.get("/healthz")
                if not answer.is_success:
                    told.append(f"{process.log.name}: {answer.text.strip()}")

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield told
    finally:
        over.set()
        thread.join()


@pytest.mark.long
@pytest.mark.parametrize("how", ["killed", "hung"])
def test_an_api_server_that_is_away_makes_no_operator_ill(
    own_control_plane: ControlPlane, api: Api, bare_installation: Installation, account: Path, how: str
) -> None:
    installation = bare_installation
    operators = [started(installation, account), started(installation, account)]
    edited = Edited(api, installation, 4)
    edited.until_in_force(60)
    away: tuple[Callable[[], None], Callable[[], None]] = (
        (own_control_plane.kill_api_server, own_control_plane.start_api_server)
        if how == "killed"
        else (own_control_plane.pause_api_server, own_control_plane.resume_api_server)
    )
    with probed(operators) as told:
        away[0]()
        time.sleep(LONG_OUTAGE)
        away[1]()
        for name in edited.names:
            edited.edit(name)
        took = edited.until_in_force(CONVERGED_SECONDS)
    print(f"\n{how} for {LONG_OUTAGE:.0f} s: in force {took:.1f} s later")  # noqa: T201
    assert told == []
    assert [operator.popen.poll() for operator in operators] == [None, None]


class Credentials:
    """A kubeconfig whose token can be taken back at any time: it goes with a Secret that it is bound to."""

    def __init__(self, control_plane: ControlPlane, api: Api, namespace: str, kubeconfig: Path) -> None:
        self._control_plane = control_plane
        self._api = api
        self._namespace = f"/api/v1/namespaces/{namespace}"
        self.kubeconfig = kubeconfig
        self._numbers = iter(range(1000))
        self._secret = ""

    def renew(self) -> str:
        """As a kubelet does it: the new file takes the old one's place. Gives what the former token was bound to."""
        former, self._secret = self._secret, f"bound-{next(self._numbers)}"
        secret = self._api.create(f"{self._namespace}/secrets", {"metadata": {"name": self._secret}})
        bound = {"kind": "Secret", "apiVersion": "v1", "name": self._secret, "uid": secret["metadata"]["uid"]}
        request = {"spec": {"expirationSeconds": 600, "boundObjectRef": bound}}
        answer = self._api.create(f"{self._namespace}/serviceaccounts/ragindex-operator/token", request)
        body = json.loads(self.kubeconfig.read_text())
        body["users"][0]["user"] = {"token": answer["status"]["token"]}
        new = self.kubeconfig.with_suffix(".new")
        new.write_text(json.dumps(body))
        new.replace(self.kubeconfig)
        return former

    def take_back(self, secret: str, kubeconfig: Path) -> None:
        """Until the API server, which remembers for some seconds whom it knew, knows the token no more."""
        with_it = Api(kubeconfig)
        self._api.delete(f"{self._namespace}/secrets/{secret}")
        wait_for(lambda: not self._known(with_it), "the end of a token", 60)
        with_it.close()

    def _known(self, with_it: Api) -> bool:
        try:
            with_it.get("/api")
        except ApiError as error:
            return error.status != 401
        return True

    def kept(self) -> Path:
        """A copy of the file as it is now."""
        copy = self.kubeconfig.with_suffix(".kept")
        copy.write_bytes(self.kubeconfig.read_bytes())
        return copy


@pytest.mark.parametrize("late", [pytest.param(0, id="in time"), pytest.param(40, id="late", marks=pytest.mark.long)])
def test_a_token_that_is_known_no_more_is_read_anew(
    own_control_plane: ControlPlane, api: Api, bare_installation: Installation, account: Path, late: float
) -> None:
    """In time: there is a new one when the old one ends, and the Lease is never lost."""
    installation = bare_installation
    credentials = Credentials(own_control_plane, api, installation.namespace, account)
    credentials.renew()
    operator = started(installation, credentials.kubeconfig)
    edited = Edited(api, installation, 4)
    edited.until_in_force(60)
    leader = holder(api, installation)
    old = credentials.kept()
    if late:
        credentials.take_back("bound-0", old)
        time.sleep(late)
        credentials.renew()
    else:
        credentials.take_back(credentials.renew(), old)
    for name in edited.names:
        edited.edit(name)
    took = edited.until_in_force(CONVERGED_SECONDS)
    print(f"\nin force {took:.1f} s after the token was renewed")  # noqa: T201
    assert holder(api, installation) == leader
    assert ("the lease is lost" in operator.said()) is bool(late)
