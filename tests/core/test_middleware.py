"""The edge: where a request comes from and by which id it is found again."""

from __future__ import annotations

import pytest

from core.middleware import client_ip, networks

PROXIES = networks(["10.0.0.0/8", "::1"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "1.2.3.4", "203.0.113.9"),  # no proxy of ours: the header proves nothing
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.9", "203.0.113.9"),  # what the client wrote stands left
        ("10.0.0.1", "203.0.113.9, 10.9.9.9", "203.0.113.9"),
        ("::1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.1", "<script>", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("", "203.0.113.9", ""),
    ],
)
def test_finds_the_client_behind_trusted_proxies(peer: str, forwarded: str, expected: str) -> None:
    assert client_ip(peer, forwarded, PROXIES) == expected


def test_trusts_nobody_unless_told() -> None:
    assert client_ip("10.0.0.1", "203.0.113.9", ()) == "10.0.0.1"
