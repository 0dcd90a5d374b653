"""The real processes that journeys and fault tests stand on."""

from __future__ import annotations

import os
import signal
import urllib.request

import psutil
import pytest

pytestmark = pytest.mark.faults


@pytest.mark.django_db(transaction=True)
def test_web_worker_and_relay_start_and_stop_in_order(processes) -> None:
    web, worker, relay = processes.web(), processes.worker(), processes.relay()
    with urllib.request.urlopen(f"{web.url}/health/live") as reply:
        assert reply.status == 200
    assert [each.stop() for each in (relay, worker, web)] == [0, 0, 0]


@pytest.mark.django_db(transaction=True)
def test_a_killed_web_server_leaves_nothing_that_answers(processes) -> None:
    web = processes.web()
    web.kill()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{web.url}/health/live", timeout=2)


@pytest.mark.django_db(transaction=True)
def test_children_end_soon_when_only_their_parent_is_killed(processes) -> None:
    web, worker = processes.web(workers=2), processes.worker()
    children = [psutil.Process(pid) for pid in (*web.children, *worker.children)]
    assert len(children) == 4
    for parent in (web, worker):
        os.kill(parent.process.pid, signal.SIGKILL)
        parent.process.wait()
    try:
        _, alive = psutil.wait_procs(children, timeout=15)
        assert not alive
    finally:
        web.kill()
        worker.kill()
