"""An address that is not that of an OpenFGA server: the setting is named at start, by the command `check`, and by
`/health`; no question fails by a raw error. Every server here is a real one on loopback."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from accounts.permissions import providers
from accounts.permissions.faults import Refused
from accounts.permissions.providers.openfga import OpenFGAProvider
from accounts.permissions.providers.openfga_http import Address, Server
from core import health
from core.config import Environment
from core.errors import AppError, ProviderAnswerInvalid, ProviderMisconfigured, ProviderUnavailable
from core.outside import ProviderTimedOut
from project.settings.variables import VARIABLES
from tests.support.openfga import OpenFGA
from tests.support.openfga import start as start_openfga
from tests.support.processes import PATIENCE, Processes, free_port

pytestmark = pytest.mark.django_db


class Somebody(ThreadingHTTPServer):
    """Answers everything alike."""

    def __init__(self, status: int, body: bytes, *, certificate: Path | None = None, **headers: str) -> None:
        self.asked: list[tuple[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                somebody.asked.append((self.path, self.headers.get("Authorization", "")))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - http.server's name

            def log_message(self, *_: object) -> None:
                pass

        somebody = self
        super().__init__(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        pass


@contextmanager
def somebody(status: int = 200, body: bytes = b"Hello", **options: Any) -> Iterator[Somebody]:
    server = Somebody(status, body, **options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def certificate(folder: Path, *, host: str) -> Path:
    """Return a file with a key and a certificate for `host` that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    today = datetime.now(UTC)
    named = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(today - timedelta(days=1)).not_valid_after(today + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([named]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    signed = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    path = folder / f"{host}.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + signed)
    (folder / f"{host}.crt").write_bytes(signed)
    return path


def provider(url: str, **options: Any) -> OpenFGAProvider:
    return OpenFGAProvider(Server(Address(url, **options)))


def fault(url: str, **options: Any) -> AppError:
    with pytest.raises(AppError) as caught:
        provider(url, **options).store_id("countinghouse")
    return caught.value


def check_named(url: str, settings: Any, setting: str = "OPENFGA_URL", number: int = 71) -> str:
    """All that a person meets: the command, the start of a process, the health page, and the question itself."""
    settings.PERMISSIONS_PROVIDER, settings.OPENFGA_URL = "openfga", url
    with pytest.raises(SystemCheckError) as caught:
        call_command("check")
    said = str(caught.value)
    assert f"countinghouse.E{number:03}" in said
    assert setting in said
    assert "Traceback" not in said
    health.forget()
    found = health.ask(["permissions"])["permissions"]
    assert found.status is health.Status.WARNING
    assert setting in found.detail
    error = fault(url)
    assert isinstance(error, ProviderMisconfigured)
    assert error.extra["setting"] == setting
    assert "SSL" not in error.detail
    return said


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>Welcome to nginx!</html>"),
        (200, b'{"name": "cluster", "tagline": "You Know, for Search"}'),
        (200, b'["stores"]'),
        (200, b"\xff\xfe\x00"),
        (404, b"<html>Not Found</html>"),
        (404, b'{"detail": "Not Found"}'),
        (405, b""),
        (501, b"<html>Unsupported method</html>"),
        (418, b"{}"),
        (301, b""),
    ],
)
def test_names_the_setting_of_an_address_that_speaks_something_else(status: int, body: bytes, settings: Any) -> None:
    with somebody(status, body, Location="https://example.com/") as server:
        check_named(server.url, settings)


def test_names_the_setting_of_an_address_with_anothers_certificate(tmp_path: Path, settings: Any) -> None:
    made = certificate(tmp_path, host="somebody.else.example")
    settings.OPENFGA_CA_FILE = ""
    with somebody(certificate=made) as server:
        said = check_named(server.url, settings)
        assert "OPENFGA_CA_FILE" in said
        # Also when the authority is one that we trust: the name is another's.
        error = fault(server.url, ca_file=str(tmp_path / "somebody.else.example.crt"))
        assert error.extra["setting"] == "OPENFGA_URL"
        assert not server.asked, "nothing was sent"


def test_names_the_setting_of_an_https_address_without_tls(settings: Any) -> None:
    with somebody() as server:
        said = check_named(server.url.replace("http", "https"), settings)
        assert "speaks no TLS" in said


def test_names_the_setting_of_an_http_address_with_tls(tmp_path: Path, settings: Any) -> None:
    with somebody(certificate=certificate(tmp_path, host="127.0.0.1")) as server:
        settings.PERMISSIONS_PROVIDER, settings.OPENFGA_URL = "openfga", server.url.replace("https", "http")
        assert isinstance(fault(settings.OPENFGA_URL), ProviderMisconfigured | ProviderUnavailable)


def test_names_the_setting_of_a_token_that_is_not_taken(settings: Any) -> None:
    settings.OPENFGA_TOKEN = "wrong"
    body = b'{"code": "bearer_token_missing", "message": "unauthenticated"}'
    with somebody(401, body) as server:
        check_named(server.url, settings, "OPENFGA_TOKEN", 73)


def test_a_worker_ends_and_names_the_setting(processes: Processes) -> None:
    with somebody() as server:
        worker = processes.starting_worker(PERMISSIONS_PROVIDER="openfga", OPENFGA_URL=server.url)
        assert worker.process.wait(PATIENCE) == 1
    assert "OPENFGA_URL" in worker.text
    assert " ready." not in worker.text


def test_a_server_that_is_down_stops_nothing(settings: Any) -> None:
    settings.PERMISSIONS_PROVIDER = "openfga"
    settings.OPENFGA_URL = f"http://127.0.0.1:{free_port()}"
    (warning,) = providers.address_is_openfgas()
    assert warning.id == "countinghouse.W071"
    call_command("check")
    assert isinstance(fault(settings.OPENFGA_URL), ProviderUnavailable)
    health.forget()
    assert health.ask(["permissions"])["permissions"].status is health.Status.WARNING


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_that_fails_is_no_wrong_address(status: int) -> None:
    with somebody(status, b"<html>Bad Gateway</html>") as server:
        assert type(fault(server.url)) is ProviderUnavailable


def test_a_server_that_is_slow_is_given_up_in_time() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        began = datetime.now(UTC)
        assert type(fault(url, timeout=0.3)) is ProviderTimedOut
        assert (datetime.now(UTC) - began).total_seconds() < 5


def test_an_answer_without_what_was_asked_for_is_no_answer() -> None:
    with somebody(200, b'{"stores": [{"name": "countinghouse"}]}') as server:
        assert type(fault(server.url)) is ProviderAnswerInvalid


def test_says_what_the_server_said_as_plain_text() -> None:
    with (
        somebody(400, b'{"code": "validation_error", "message": "type &#39;x&#39;\\n is  not"}') as server,
        pytest.raises(Refused, match="type 'x' is not"),
    ):
        provider(server.url).store_id("countinghouse")


def test_asks_a_real_server_over_tls_that_its_own_authority_vouches_for(tmp_path: Path) -> None:
    made = certificate(tmp_path, host="127.0.0.1")
    ours = str(tmp_path / "127.0.0.1.crt")
    options = {"http_tls_enabled": "true", "http_tls_cert": ours, "http_tls_key": str(made)}
    options |= {"grpc_tls_enabled": "true", "grpc_tls_cert": ours, "grpc_tls_key": str(made)}
    options |= {"authn_method": "preshared", "authn_preshared_keys": "sesame"}
    server, running = start_openfga(tmp_path, ca_file=ours, **options)
    try:
        found = provider(server.address, token="sesame", ca_file=ours)
        assert found.store_id(found.make("countinghouse"))
        assert fault(server.address, token="wrong", ca_file=ours).extra["setting"] == "OPENFGA_TOKEN"
        assert fault(server.address, token="sesame").extra["setting"] == "OPENFGA_URL"
    finally:
        running.stop()


def test_names_the_setting_of_a_store_that_is_not_there(openfga: OpenFGA, settings: Any) -> None:
    settings.PERMISSIONS_PROVIDER, settings.OPENFGA_URL = "openfga", openfga.address
    settings.OPENFGA_STORE = "01M82PYPBB2RC3NDGNZ079ZARQ"
    with pytest.raises(SystemCheckError, match=r"countinghouse\.E072"):
        call_command("check")
    settings.OPENFGA_STORE = "countinghouse"
    call_command("check")


# --- settings ---


def read(**variables: str) -> dict[str, Any]:
    ours = [one for one in VARIABLES if one.group == "Permissions"]
    return dict(Environment.read(ours, variables, kind="development").values)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"PERMISSIONS_PROVIDER": "openfga"}, "countinghouse.E071 OPENFGA_URL: it is not set"),
        ({"PERMISSIONS_PROVIDER": "zanzibar"}, "expected one of local, openfga"),
        ({"OPENFGA_URL": "openfga:8080"}, "expected a URL that begins with http:// or https://"),
        ({"OPENFGA_URL": "http://fga.example.com", "OPENFGA_TOKEN": "x"}, "it would be sent in the open"),
        ({"OPENFGA_CA_FILE": "/dev/null"}, "holds no PEM certificate"),
        ({"OPENFGA_TIMEOUT": "0"}, "expected 0.1 to 30"),
    ],
)
def test_refuses_settings_that_do_not_go_together(given: dict[str, str], said: str) -> None:
    from django.core.exceptions import ImproperlyConfigured

    with pytest.raises(ImproperlyConfigured, match=said):
        read(**given)


def test_takes_a_token_for_this_machine_and_over_tls() -> None:
    assert read(OPENFGA_URL="http://127.0.0.1:8080", OPENFGA_TOKEN="x")["OPENFGA_TOKEN"] == "x"
    assert read(OPENFGA_URL="https://fga.example.com", OPENFGA_TOKEN="x")["PERMISSIONS_PROVIDER"] == "local"
