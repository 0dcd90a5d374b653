"""Where webhooks may go: a table of addresses, names resolved once, certificates of the name."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from notifications.providers import addresses, checked_http, webhook_http
from notifications.providers.webhook_http import Answer
from tests.support.receiver import Receiver, Says


@pytest.fixture
def production(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    settings.WEBHOOK_ALLOW_HTTP = False
    settings.WEBHOOK_PORTS = [443]


FORBIDDEN = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.88.99.1", "::", "::1", "::ffff:8.8.8.8",
    "::ffff:127.0.0.1", "::8.8.8.8", "::127.0.0.1", "::ffff:0:8.8.8.8", "64:ff9b::808:808", "64:ff9b::7f00:1",
    "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:808:808::1", "2002:7f00:1::1", "fc00::1",
    "fd00:ec2::254", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1", "3fff::1", "5f00::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "2a00:1450:4001::200e"]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_refuses_addresses_that_are_not_public(production: None, address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(ValueError, match="public internet"):
        addresses.check_url(f"https://{host}/hook")


@pytest.mark.parametrize("address", PUBLIC)
def test_takes_public_addresses(production: None, address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    assert addresses.check_url(f"https://{host}/hook")


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "0", "[::ffff:7f00:1]"])
def test_knows_odd_forms_of_an_address(production: None, host: str) -> None:
    with pytest.raises(ValueError, match="public internet"):
        addresses.check_url(f"https://{host}/")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "https://example.com:8443/", "https://example.com:0/", "https://example.com:99999/",
        "https://a@example.com/", "https://:b@example.com/", "https:///path", "https://", "//example.com/",
        "https://example.com/#x", "https://example.com/#", "file:///etc/passwd", "gopher://example.com/",
        "https://exa mple.com/", "https://example.com\\@10.0.0.1/", "https://bücher.example/", "https://[::1",
        "https://example.com/\r\nX: y", "https://[fe80::1%25eth0]/", "", "javascript:alert(1)",
        "https://[2606:4700:4700::1111]evil.example/", "https://[2606:4700:4700::1111].evil.example:443/",
    ],
)  # fmt: skip
def test_refuses_urls_that_say_more_than_an_address(production: None, url: str) -> None:
    with pytest.raises(ValueError):
        addresses.check_url(url)


def test_takes_networks_and_ports_of_our_own(production: None, settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["10.20.0.0/16", "fd12::/16"]
    settings.WEBHOOK_PORTS = [443, 8443]
    assert addresses.check_url("https://10.20.1.2:8443/hook")
    assert addresses.check_url("https://[fd12::1]/hook")
    with pytest.raises(ValueError, match="public internet"):
        addresses.check_url("https://10.21.0.1/hook")


def names(monkeypatch: pytest.MonkeyPatch, *found: str) -> list[str]:
    """Let every name resolve to `found`, and keep what was asked."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def answer(host: str, port: int, *rest: Any, **more: Any) -> Any:
        try:
            socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
        except OSError:
            asked.append(host)
            return [entry for one in found for entry in real(one, port, *rest, **more)]
        return real(host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


def send(url: str, timeout: float = 5) -> Answer:
    return webhook_http.post(url, headers={"webhook-id": "x"}, body=b"{}", timeout=timeout)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.mark.parametrize("found", [["127.0.0.1"], ["10.0.0.1", "169.254.169.254"], ["::ffff:127.0.0.1"], ["::1"]])
def test_sends_nothing_to_a_name_that_leads_inside(
    receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch, found: list[str]
) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    names(monkeypatch, *found)
    answer = send(f"http://hooks.example.com:{receiver.port}/")
    assert (answer.outcome, answer.status_code) == ("forbidden_address", None)
    assert "127.0.0.1" not in answer.error
    assert not receiver.came


def test_resolves_a_name_once_and_connects_to_that_very_address(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = names(monkeypatch, "127.0.0.1")
    assert send(f"http://hooks.example.com:{receiver.port}/path?a=b").outcome == "delivered"
    assert asked == ["hooks.example.com"]
    (came,) = receiver.came
    assert came.headers["Host"] == f"hooks.example.com:{receiver.port}"
    assert came.path == "/path?a=b"


def test_passes_over_addresses_that_are_not_allowed(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, "10.0.0.1", "127.0.0.1")
    assert send(f"http://hooks.example.com:{receiver.port}/").outcome == "delivered"


def test_tries_the_next_address_when_one_does_not_answer(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, "127.99.0.1", "127.0.0.1")  # nobody listens on the first
    assert send(f"http://hooks.example.com:{receiver.port}/").outcome == "delivered"


def test_uses_no_proxy_of_the_environment(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert send(f"{receiver.url}/").outcome == "delivered"


def test_says_that_a_name_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch)
    assert send("http://nowhere.invalid/").outcome in ("unresolved", "forbidden_address")

    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert send("http://nowhere.invalid/").outcome == "unresolved"


def _trickling(parts: list[bytes]) -> tuple[socket.socket, int]:
    """A server that sends one part every 0.2 s, whatever it is asked."""
    import threading
    import time

    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            try:
                for part in parts:
                    connection.sendall(part)
                    time.sleep(0.2)
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()
    return server, server.getsockname()[1]


def test_bounds_the_whole_and_not_each_byte() -> None:
    server, port = _trickling([b"HTTP/1.1 200 OK\r\n"] + [b"X-A: b\r\n"] * 100)
    with server:
        answer = send(f"http://127.0.0.1:{port}/", timeout=1)
    assert answer.outcome == "timed_out"
    assert answer.duration < timedelta(seconds=1.5)


def test_counts_an_answer_whose_body_never_ends() -> None:
    server, port = _trickling([b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"] + [b"x"] * 100)
    with server:
        answer = send(f"http://127.0.0.1:{port}/", timeout=1)
    assert (answer.outcome, answer.status_code) == ("delivered", 200)
    assert answer.body.startswith("x")


def test_names_what_is_no_answer_of_http() -> None:
    server, port = _trickling([b"SSH-2.0-OpenSSH_9.9\r\n\r\n"])
    with server:
        assert send(f"http://127.0.0.1:{port}/").outcome == "bad_answer"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30), ("0", 0), ("soon", None), ("-5", None), ("", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 +99999999999999999999", None), (f"Thu, 01 Jan {'9' * 30} 00:00:00 GMT", None),
    ],
)  # fmt: skip
def test_reads_retry_after(receiver: Receiver, header: str, seconds: int | None) -> None:
    receiver.answers = [Says(503, {"Retry-After": header})]
    asked = send(f"{receiver.url}/").retry_after
    assert asked == (None if seconds is None else timedelta(seconds=seconds))


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A server's context with a certificate for `name` of an authority that stands in `folder`/authority.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    (folder / "authority.pem").write_bytes(pem)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


@pytest.mark.parametrize(
    ("trusted", "asked", "outcome"),
    [
        (True, "hooks.example.com", "delivered"),
        (True, "other.example.com", "bad_certificate"),
        (False, "hooks.example.com", "bad_certificate"),
    ],
)
def test_wants_the_certificate_of_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool, asked: str, outcome: str
) -> None:
    context = certificate(tmp_path, "hooks.example.com")
    shown: list[str] = []
    context.sni_callback = lambda _socket, name, _context: shown.append(name)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    checked_http._tls.cache_clear()
    names(monkeypatch, "127.0.0.1")
    receiver = Receiver(tls=context)
    try:
        assert send(f"https://{asked}:{receiver.port}/").outcome == outcome
    finally:
        receiver.close()
        checked_http._tls.cache_clear()
    assert shown == [asked]
    assert bool(receiver.came) is (outcome == "delivered")
