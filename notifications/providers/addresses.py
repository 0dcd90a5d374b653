"""To which addresses webhooks may go: those of the public internet, and networks of our own that a setting names.

Whoever sets up an endpoint chooses where our servers connect to (server-side request forgery, OWASP A10:2021). A name
is therefore resolved once, each address is judged, and the connection goes to an address that was judged: a name
that answers differently a moment later (DNS rebinding) leads nowhere else.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"

_VISIBLE = re.compile(r"[!-~]+")
_IN_BRACKETS = re.compile(r"\[[^\[\]]+\](:[0-9]*)?")
# Ways through which an IPv6 address leads to an IPv4 one, and what `is_global` does not know in every Python 3.11.
_NEVER = [
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4",
        "::/96",            # IPv4-compatible (RFC 4291)
        "::ffff:0:0/96",    # IPv4-mapped
        "::ffff:0:0:0/96",  # IPv4-translated (RFC 2765)
        "64:ff9b::/96",     # NAT64 (RFC 6052)
        "64:ff9b:1::/48",   # NAT64, local (RFC 8215)
        "100::/64",         # discard (RFC 6666)
        "2001::/23",        # Teredo, ORCHID and other protocols (RFC 2928)
        "2002::/16",        # 6to4 (RFC 3056)
        "3fff::/20",        # documentation (RFC 9637)
        "5f00::/16",        # segment routing (RFC 9602)
        "fec0::/10",        # site-local (RFC 3879)
    )
]  # fmt: skip


class ForbiddenAddress(Exception):
    """The name or the address leads to where nothing is sent."""


class Unresolved(Exception):
    """The name has no address, or its name servers do not answer in time."""


def check_url(url: str) -> SplitResult:
    """Return the parts of a URL to which webhooks may be sent. Raises ValueError, with a sentence for people, for
    another scheme, a port that is not allowed, a user name, a fragment, and an address that is not public. What a
    name leads to is judged when it is used (`resolve`)."""
    if not _VISIBLE.fullmatch(url) or "\\" in url:
        raise ValueError("Write it in visible ASCII characters (names in their xn-- form).")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("This is not a URL.") from None
    schemes = ("https", "http") if settings.WEBHOOK_ALLOW_HTTP else ("https",)
    if parts.scheme not in schemes:
        raise ValueError(f"Expected a URL that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}.")
    if not parts.hostname:
        raise ValueError("The URL names no host.")
    if port == 0 or ("[" in parts.netloc and not _IN_BRACKETS.fullmatch(parts.netloc.rpartition("@")[2])):
        raise ValueError("This is not a URL.")  # urlsplit passes what stands behind the brackets over
    if parts.username is not None or parts.password is not None:
        raise ValueError("A user name or password in the URL is not sent; verify the signature instead.")
    if parts.fragment or url.endswith("#"):
        raise ValueError("A fragment is never sent.")
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    if settings.WEBHOOK_PORTS and port not in settings.WEBHOOK_PORTS:
        allowed = ", ".join(str(one) for one in settings.WEBHOOK_PORTS)
        raise ValueError(f"Webhooks may go to port {allowed}, not to {port}.")
    literal = _literal(parts.hostname)
    if literal is not None and not is_allowed(literal):
        raise ValueError(f"Nothing is sent to {parts.hostname}: it is not an address of the public internet.")
    return parts


def is_allowed(address: Address) -> bool:
    """Whether webhooks may go to `address`: public and unicast, or in one of WEBHOOK_ALLOWED_NETWORKS."""
    own = [ipaddress.ip_network(network, strict=False) for network in settings.WEBHOOK_ALLOWED_NETWORKS]
    if any(address in network for network in own if network.version == address.version):
        return True
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def resolve(host: str, port: int, timeout: float) -> list[str]:
    """Return the allowed addresses of `host`, the preferred first. Raises `ForbiddenAddress` when it has none but
    others, `Unresolved` when it has none at all or its name servers take longer than `timeout` seconds."""
    try:
        found = _resolvers.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM).result(timeout)
    except Late:
        raise Unresolved("The name servers did not answer in time.") from None
    except (OSError, UnicodeError) as fault:
        raise Unresolved(f"The name has no address ({fault}).") from None
    texts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    allowed = [text for text in texts if is_allowed(ipaddress.ip_address(text))]
    if not allowed:
        raise ForbiddenAddress("The name leads to no address of the public internet.")
    return allowed


_resolvers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="webhook-names")


def _literal(host: str) -> Address | None:
    """Return the address that `host` is, also in the odd forms that resolvers take ("127.1", "0x7f000001")."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None
