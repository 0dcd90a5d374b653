"""The tree of RFC 9162, against the RFC's own recursion."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from audit.merkle import EMPTY_ROOT, CompactTree, leaf_hash, node_hash


def naive(leaves: list[bytes]) -> bytes:
    """MTH of section 2.1.1, as it stands there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + naive(leaves[:split]) + naive(leaves[split:])).digest()


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_has_the_root_of_the_rfc(leaves: list[bytes]) -> None:
    tree = CompactTree()
    tree.extend(leaf_hash(leaf) for leaf in leaves)
    assert tree.root == naive(leaves)
    assert tree.size == len(leaves)


@given(st.lists(st.binary(max_size=4), max_size=70), st.integers(0, 70))
def test_goes_on_from_its_peaks(leaves: list[bytes], cut: int) -> None:
    cut = min(cut, len(leaves))
    first = CompactTree()
    first.extend(map(leaf_hash, leaves[:cut]))
    second = CompactTree(first.size, list(first.peaks))
    second.extend(map(leaf_hash, leaves[cut:]))
    assert second.root == naive(leaves)


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_hands_out_every_full_subtree_once(leaves: list[bytes]) -> None:
    nodes = CompactTree().extend(map(leaf_hash, leaves))
    found = {(node.level, node.index): node.hash for node in nodes}
    expected = {
        (level, index): naive(leaves[index << level : (index + 1) << level])
        for level in range(1, 8)
        for index in range(len(leaves) >> level)
    }
    assert len(nodes) == len(found)
    assert found == expected


def test_knows_the_root_of_nothing_and_of_one() -> None:
    assert CompactTree().root == EMPTY_ROOT == hashlib.sha256().digest()
    tree = CompactTree()
    tree.append(leaf_hash(b"x"))
    assert tree.root == leaf_hash(b"x") != node_hash(b"x", b"")
