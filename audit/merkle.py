"""The Merkle tree of the log (RFC 9162, section 2): pure functions, no database.

A tree of n leaves is kept as its peaks, the roots of the full subtrees that n's binary digits name, the largest first:
all that is needed to add leaves and to know the root.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(content: bytes) -> bytes:
    """Return MTH({d}) = SHA-256(0x00 || d)."""
    return hashlib.sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(peaks: Sequence[bytes]) -> bytes:
    """Return the root of the tree that has these peaks (the hash of nothing when it is empty)."""
    if not peaks:
        return EMPTY_ROOT
    *rest, root = peaks
    for peak in reversed(rest):
        root = node_hash(peak, root)
    return root


@dataclass(frozen=True, slots=True)
class FullNode:
    """A full subtree that was completed: over leaves index * 2^level up to (index + 1) * 2^level - 1."""

    level: int
    index: int
    hash: bytes


@dataclass(slots=True)
class CompactTree:
    """A tree as its size and peaks. `append` costs one hash per leaf on average and log2(n) at most."""

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len(self.peaks) != self.size.bit_count():
            raise ValueError(f"A tree of {self.size} leaves has {self.size.bit_count()} peaks, not {len(self.peaks)}.")

    def append(self, leaf: bytes) -> list[FullNode]:
        """Add the hash of one leaf; return the full subtrees above it that it completed, the lowest first."""
        completed, hash_, level, index = [], leaf, 0, self.size
        while index & 1:
            hash_ = node_hash(self.peaks.pop(), hash_)
            level, index = level + 1, index >> 1
            completed.append(FullNode(level, index, hash_))
        self.peaks.append(hash_)
        self.size += 1
        return completed

    def extend(self, leaves: Iterable[bytes]) -> list[FullNode]:
        """Add the hashes of many leaves; return all full subtrees that they completed."""
        return [node for leaf in leaves for node in self.append(leaf)]

    @property
    def root(self) -> bytes:
        return root_of(self.peaks)
