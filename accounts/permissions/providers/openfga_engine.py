"""One model of one store on an OpenFGA server, asked over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from accounts.permissions import tuples, writes
from accounts.permissions.changes import Change, Changes
from accounts.permissions.expanding import Tree
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language.model import Model, Pair
from accounts.permissions.pages import Page, check_limit, id_of, page
from accounts.permissions.providers.base import ListCutOff
from accounts.permissions.providers.openfga_answers import differs, key_of, moment_of, node_of, subject_of, tuple_of
from accounts.permissions.providers.openfga_http import Server, member
from accounts.permissions.reading import Stock, Stored
from accounts.permissions.tuples import Given, Object, Subject, Tuple
from accounts.permissions.writes import OnDuplicate, OnMissing, Outcome

TUPLES_PER_WRITE: Final = 100  # the server's max-tuples-per-write, as shipped
_CHECKS_PER_BATCH: Final = 50  # max-checks-per-batch-check
_MOST_LISTED: Final = 1000  # listObjects-max-results, listUsers-max-results
_SECONDS_PER_LIST: Final = 2.8  # a little below listObjects-deadline: 3 s


@dataclass(frozen=True, slots=True)
class ServerEngine:
    """Answers by one model of one store on a server."""

    server: Server
    store_id: str
    model_id: str
    model: Model
    always_given: tuple[Tuple, ...] = ()

    def giving(self, given: Sequence[Tuple]) -> ServerEngine:
        """Return an engine that brings these tuples along with every question."""
        return replace(self, always_given=tuple(given))

    # questions

    def check(
        self, subject: str, relation: str, target: str, given: Given = (), context: Mapping[str, Any] = {}
    ) -> bool:
        key = {"user": subject, "relation": relation, "object": target}
        body = {"tuple_key": key, **self._brought(given, context)}
        return bool(member(self._ask("check", body), "allowed", bool))

    def check_many(
        self, questions: Sequence[tuple[str, str, str]], given: Given = (), context: Mapping[str, Any] = {}
    ) -> list[bool | Refused]:
        """Fifty in one request."""
        brought = self._brought(given, context)
        common = {name: brought[name] for name in ("contextual_tuples", "context") if name in brought}
        answers: list[bool | Refused] = []
        for start in range(0, len(questions), _CHECKS_PER_BATCH):
            some = questions[start : start + _CHECKS_PER_BATCH]
            checks = [
                {
                    "tuple_key": {"user": subject, "relation": relation, "object": target},
                    "correlation_id": str(place),
                    **common,
                }
                for place, (subject, relation, target) in enumerate(some)
            ]
            try:
                found = member(self._ask("batch-check", {"checks": checks}), "result", dict)
            except Refused:  # one that is malformed fails the whole batch: each for itself
                answers += [self._one(question, given, context) for question in some]
                continue
            for place, question in enumerate(some):
                result = member(found, str(place), dict)
                answers.append(self._one(question, given, context) if result.get("error") else bool(result["allowed"]))
        return answers

    def _one(self, question: tuple[str, str, str], given: Given, context: Mapping[str, Any]) -> bool | Refused:
        try:
            return self.check(*question, given=given, context=context)
        except Refused as refused:
            return refused

    def list_objects(
        self, subject: str, relation: str, of_type: str, given: Given = (), context: Mapping[str, Any] = {}
    ) -> list[str]:
        """Raises ListCutOff where the server may have more than it says."""
        began = time.monotonic()
        body = {"user": subject, "relation": relation, "type": of_type, **self._brought(given, context)}
        found: list[str] = member(self._ask("list-objects", body), "objects", list)
        _check_whole(found, began)
        return sorted(found, key=_id_of)

    def list_users(
        self, target: str, relation: str, kind: str, given: Given = (), context: Mapping[str, Any] = {}
    ) -> list[str]:
        """Raises ListCutOff where the server may have more than it says."""
        began, wanted = time.monotonic(), Object.parse(target)
        of_type, _, of_relation = kind.partition("#")
        body = self._brought(given, context)
        if "contextual_tuples" in body:
            body["contextual_tuples"] = body["contextual_tuples"]["tuple_keys"]  # here without its frame
        body |= {
            "object": {"type": wanted.type, "id": wanted.id},
            "relation": relation,
            "user_filters": [{"type": of_type} | ({"relation": of_relation} if of_relation else {})],
        }
        users = [subject_of(one) for one in member(self._ask("list-users", body), "users", list)]
        _check_whole(users, began)
        return [str(one) for one in sorted(users, key=lambda one: one.id)]

    def page_of_objects(
        self,
        subject: str,
        relation: str,
        of_type: str,
        *,
        given: Given = (),
        context: Mapping[str, Any] = {},
        limit: int = 100,
        after: str | None = None,
    ) -> Page:
        """A piece of the whole list: the server gives no pages."""
        check_limit(limit)
        return _page(self.list_objects(subject, relation, of_type, given, context), limit, after)

    def page_of_users(
        self,
        target: str,
        relation: str,
        kind: str,
        *,
        given: Given = (),
        context: Mapping[str, Any] = {},
        limit: int = 100,
        after: str | None = None,
    ) -> Page:
        """A piece of the whole list: the server gives no pages."""
        check_limit(limit)
        return _page(self.list_users(target, relation, kind, given, context), limit, after)

    def objects_by_relation(
        self,
        subject: str,
        relations: Iterable[Pair],
        given: Given = (),
        context: Mapping[str, Any] = {},
    ) -> dict[Pair, list[str]]:
        """One request for each relation."""
        return {pair: self.list_objects(subject, pair[1], pair[0], given, context) for pair in relations}

    def expand(self, target: str, relation: str, given: Given = (), context: Mapping[str, Any] = {}) -> Tree:
        body = self._brought(given, {}) | {"tuple_key": {"object": target, "relation": relation}}
        return Tree(node_of(member(member(self._ask("expand", body), "tree", dict), "root", dict)))

    # tuples

    def write(self, written: Sequence[Tuple], on_duplicate: OnDuplicate = "ignore") -> list[Outcome]:
        """Store tuples, 100 in one transaction of the server. What was there before is asked first, one by one."""
        asked = writes.once(written, is_strict=on_duplicate == "error")
        before = {key: self.look_up(one) for key, one in asked.items()} if on_duplicate != "error" else {}
        changed = {key: one for key, one in asked.items() if (was := before.get(key)) is not None and differs(was, one)}
        if changed and on_duplicate == "ignore":
            message = f"the tuple exists already under another condition: {next(iter(changed.values()))}"
            raise Refused(Code.WRITE_FAILED, message)
        self.push(deletes=list(changed.values()))
        self.push(writes=list(asked.values()), on_duplicate="error" if on_duplicate == "error" else "ignore")
        found = dict.fromkeys(changed, "replaced") | {key: "created" for key in asked if before.get(key) is None}
        return writes.in_order(written, found, Outcome.UNCHANGED)

    def delete(self, deleted: Sequence[Tuple], on_missing: OnMissing = "ignore") -> list[Outcome]:
        """Delete tuples, 100 in one transaction of the server."""
        asked = writes.once(deleted, is_strict=on_missing == "error")
        found = {key: "removed" for key, one in asked.items() if on_missing == "error" or self.look_up(one) is not None}
        self.push(deletes=list(asked.values()), on_missing=on_missing)
        return writes.in_order(deleted, found, Outcome.MISSING)

    def push(
        self,
        writes: Sequence[Tuple] = (),
        deletes: Sequence[Tuple] = (),
        on_duplicate: OnDuplicate = "ignore",
        on_missing: OnMissing = "ignore",
    ) -> None:
        """Write or delete tuples and ask nothing: safe to repeat unless one is "error", which is left to who asks.
        Raises Refused."""
        for start in range(0, len(deletes), TUPLES_PER_WRITE):
            keys = [key_of(one, is_bare=True) for one in deletes[start : start + TUPLES_PER_WRITE]]
            self._write({"deletes": {"tuple_keys": keys, "on_missing": on_missing}})
        for start in range(0, len(writes), TUPLES_PER_WRITE):
            some = writes[start : start + TUPLES_PER_WRITE]
            keys = [key_of(one) for one in some]
            try:
                body = {"writes": {"tuple_keys": keys, "on_duplicate": on_duplicate}}
                self._write(body)
            except Refused as refused:
                raise self._reason(refused, some) from refused

    def stored(self) -> Iterator[Tuple]:
        """Every tuple of the store, page by page."""
        token = ""
        while True:
            body = {"page_size": 100} | ({"continuation_token": token} if token else {})
            found = self._post("read", body)
            yield from (tuple_of(member(one, "key", dict)) for one in member(found, "tuples", list))
            token = str(found.get("continuation_token") or "")
            if not token:
                return

    def read(
        self,
        *,
        object_type: str | None = None,
        object_id: str | None = None,
        relation: str | None = None,
        subject: str | None = None,
        condition: str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Stock:
        """Return a page of tuples. The server filters by an object, or by a subject and a type; by all else this side
        filters what the server's page has, so that a page may be short, or empty, and not the last."""
        if subject is not None:
            Subject.parse(subject)
        key: dict[str, str] = {}
        if object_type is not None and (object_id is not None or subject is not None):
            key = {"object": f"{object_type}:{object_id or ''}"}
            key |= {name: value for name, value in (("user", subject), ("relation", relation)) if value is not None}
        body: dict[str, Any] = {"page_size": min(limit, 100)} | ({"tuple_key": key} if key else {})
        found = self._post("read", body | ({"continuation_token": after} if after else {}))
        wanted = (object_type, object_id, relation, subject, condition)
        items = []
        for one in member(found, "tuples", list):
            read = tuple_of(member(one, "key", dict))
            had = (read.object.type, read.object.id, read.relation, str(read.subject), read.condition)
            if all(mine is None or mine == theirs for mine, theirs in zip(wanted, had, strict=True)):
                items.append(Stored(read, moment_of(one)))
        return Stock(tuple(items), str(found.get("continuation_token") or "") or None)

    def changes(
        self,
        *,
        of_type: str | None = None,
        after: str | None = None,
        limit: int = 50,
        start_time: datetime | None = None,
    ) -> Changes:
        """Return what changed on the server, which takes up to 100 at a time."""
        query: dict[str, Any] = {"page_size": min(limit, 100), "type": of_type, "continuation_token": after}
        query["start_time"] = start_time.isoformat() if start_time else None
        found = self.server.get("changes", f"/stores/{self.store_id}/changes", **query)
        items = [
            Change(
                "write" if one.get("operation") == "TUPLE_OPERATION_WRITE" else "delete",
                tuple_of(member(one, "tuple_key", dict)),
                moment_of(one),
            )
            for one in member(found, "changes", list)
        ]
        return Changes(tuple(items), str(found.get("continuation_token") or "") or after, len(items) < min(limit, 100))

    def allows(self, one: Tuple) -> bool:
        return tuples.allows(self.model, one)

    def look_up(self, one: Tuple) -> Tuple | None:
        """Return the tuple as it is stored, under whatever condition."""
        found = member(self._post("read", {"tuple_key": key_of(one, is_bare=True)}), "tuples", list)
        return tuple_of(member(found[0], "key", dict)) if found else None

    def _reason(self, refused: Refused, written: Sequence[Tuple]) -> Refused:
        """What our own check says of the tuple that the server refused: it names what would have been right."""
        for one in written if refused.code is Code.VALIDATION else ():
            try:
                writes.check(self.model, one)
            except Refused as ours:
                return ours
        return refused

    # what all of them need

    def _brought(self, given: Given, context: Mapping[str, Any]) -> dict[str, Any]:
        brought = [*self.always_given, *(one if isinstance(one, Tuple) else Tuple.parse(one) for one in given)]
        for one in brought:
            tuples.check(self.model, one, Code.INVALID_TUPLE)
        found: dict[str, Any] = {"authorization_model_id": self.model_id}
        if brought:
            found["contextual_tuples"] = {"tuple_keys": list(map(key_of, brought))}
        return found | ({"context": dict(context)} if context else {})

    def _ask(self, question: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask by this model. Answers may be as old as the server's caches: what must be new is asked of PostgreSQL."""
        return self._post(question, {"authorization_model_id": self.model_id, **body})

    def _write(self, body: Mapping[str, Any]) -> None:
        whole = {"authorization_model_id": self.model_id, **body}
        self.server.post("write", f"/stores/{self.store_id}/write", whole, is_repeatable=False)

    def _post(self, question: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self.server.post(question, f"/stores/{self.store_id}/{question}", body)


def _check_whole(found: Sequence[Any], began: float) -> None:
    """Raise ListCutOff when a list may have been cut: the server does not say so."""
    if len(found) >= _MOST_LISTED or time.monotonic() - began >= _SECONDS_PER_LIST:
        raise ListCutOff(provider="openfga", count=len(found))


def _page(found: Sequence[str], limit: int, after: str | None) -> Page:
    return page([one for one in found if after is None or _id_of(one) > id_of(after)][: limit + 1], limit)


def _id_of(item: str) -> str:
    return item.partition(":")[2].partition("#")[0]
