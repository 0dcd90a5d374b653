"""An OpenFGA server: stores of its own, asked over HTTP (`openfga_http` sends; this module knows what it means)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django.conf import settings

from accounts.permissions import conditions, tuples, writes
from accounts.permissions.expanding import ComputedLeaf, Content, Node, Operator, Tree, TuplesetLeaf, Users
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language import Faulty, check, from_json, to_json
from accounts.permissions.language.model import Model
from accounts.permissions.pages import Page, check_limit, id_of, page
from accounts.permissions.providers.base import Given, Health, ListCutOff, SavedModel
from accounts.permissions.providers.openfga_http import Address, Server, member, no_openfga
from accounts.permissions.tuples import Object, Subject, Tuple
from accounts.permissions.writes import OnDuplicate, OnMissing, Outcome
from core.errors import AppError, ProviderAnswerInvalid

TUPLES_PER_WRITE: Final = 100  # the server's max-tuples-per-write, as shipped
_CHECKS_PER_BATCH: Final = 50  # max-checks-per-batch-check
_MOST_LISTED: Final = 1000  # listObjects-max-results, listUsers-max-results
_SECONDS_PER_LIST: Final = 2.8  # a little below listObjects-deadline: 3 s
_ID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


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
        users = [_subject(one) for one in member(self._ask("list-users", body), "users", list)]
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
        relations: Iterable[str],
        of_type: str,
        given: Given = (),
        context: Mapping[str, Any] = {},
    ) -> dict[str, list[str]]:
        """One request for each relation."""
        return {one: self.list_objects(subject, one, of_type, given, context) for one in relations}

    def expand(self, target: str, relation: str, given: Given = (), context: Mapping[str, Any] = {}) -> Tree:
        body = self._brought(given, {}) | {"tuple_key": {"object": target, "relation": relation}}
        return Tree(_node(member(member(self._ask("expand", body), "tree", dict), "root", dict)))

    # tuples

    def write(self, written: Sequence[Tuple], on_duplicate: OnDuplicate = "ignore") -> list[Outcome]:
        """Store tuples, 100 in one transaction of the server. What was there before is asked first, one by one."""
        asked = writes.once(written, is_strict=on_duplicate == "error")
        before = {key: self.look_up(one) for key, one in asked.items()} if on_duplicate != "error" else {}
        changed = {
            key: one for key, one in asked.items() if (was := before.get(key)) is not None and _differs(was, one)
        }
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
        """Write or delete tuples and ask nothing: safe to repeat unless one is "error". Raises Refused."""
        for start in range(0, len(deletes), TUPLES_PER_WRITE):
            keys = [_key(one, is_bare=True) for one in deletes[start : start + TUPLES_PER_WRITE]]
            self._write(
                {"deletes": {"tuple_keys": keys, "on_missing": on_missing}}, is_repeatable=on_missing == "ignore"
            )
        for start in range(0, len(writes), TUPLES_PER_WRITE):
            some = writes[start : start + TUPLES_PER_WRITE]
            keys = [_key(one) for one in some]
            try:
                body = {"writes": {"tuple_keys": keys, "on_duplicate": on_duplicate}}
                self._write(body, is_repeatable=on_duplicate == "ignore")
            except Refused as refused:
                raise self._reason(refused, some) from refused

    def stored(self) -> Iterator[Tuple]:
        """Every tuple of the store, page by page."""
        token = ""
        while True:
            body = {"page_size": 100} | ({"continuation_token": token} if token else {})
            found = self._post("read", body)
            yield from (_tuple(member(one, "key", dict)) for one in member(found, "tuples", list))
            token = str(found.get("continuation_token") or "")
            if not token:
                return

    def allows(self, one: Tuple) -> bool:
        return tuples.allows(self.model, one)

    def look_up(self, one: Tuple) -> Tuple | None:
        """Return the tuple as it is stored, under whatever condition."""
        found = member(self._post("read", {"tuple_key": _key(one, is_bare=True)}), "tuples", list)
        return _tuple(member(found[0], "key", dict)) if found else None

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
            found["contextual_tuples"] = {"tuple_keys": list(map(_key, brought))}
        return found | ({"context": dict(context)} if context else {})

    def _ask(self, question: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask by this model. Answers may be as old as the server's caches: what must be new is asked of PostgreSQL."""
        return self._post(question, {"authorization_model_id": self.model_id, **body})

    def _write(self, body: Mapping[str, Any], *, is_repeatable: bool) -> None:
        whole = {"authorization_model_id": self.model_id, **body}
        self.server.post("write", f"/stores/{self.store_id}/write", whole, is_repeatable=is_repeatable)

    def _post(self, question: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self.server.post(question, f"/stores/{self.store_id}/{question}", body)


@dataclass(frozen=True, slots=True)
class OpenFGAProvider:
    """Stores of a server, by their names. The product's own store is OPENFGA_STORE there."""

    server: Server
    name: str = "openfga"

    @classmethod
    def of_settings(cls) -> OpenFGAProvider:
        """Raises ProviderMisconfigured when OPENFGA_URL is not set."""
        return cls(Server(Address.of_settings()))

    def open(self, store: str, model_id: str = "") -> ServerEngine:
        store_id = self.store_id(store)
        found = self._read(store_id, model_id) if model_id and store_id else self.newest(store_id)
        if found is None:
            raise Refused(Code.MODEL_NOT_FOUND, f"There is no such model of the store '{store}'.")
        return found

    def newest(self, store_id: str) -> ServerEngine | None:
        """Return the engine of a store, named by its id, by its newest model."""
        page = (
            self.server.get("read_models", f"/stores/{store_id}/authorization-models", page_size=1) if store_id else {}
        )
        saved = member(page, "authorization_models", list) if page else []
        return self.engine(store_id, member(saved[0], "id", str), from_json(saved[0])) if saved else None

    def engine(self, store_id: str, model_id: str, model: Model) -> ServerEngine:
        """Return the engine of a store by a model of which both ids are known; nothing is asked."""
        return ServerEngine(self.server, store_id, model_id, model)

    def _read(self, store_id: str, model_id: str) -> ServerEngine | None:
        if not _ID.fullmatch(model_id):
            return None
        path = f"/stores/{store_id}/authorization-models/{model_id}"
        document = member(self.server.get("read_model", path), "authorization_model", dict)
        return self.engine(store_id, model_id, from_json(document))

    def save_model(self, store: str, model: Model) -> ServerEngine:
        faults = [*check(model), *filter(None, map(conditions.check, model.conditions.values()))]
        if faults:
            raise Faulty(faults)
        return self.add_model(self.store_id(store) or self.make(store), model)

    def add_model(self, store_id: str, model: Model) -> ServerEngine:
        """Keep a model, in which no fault was found, as the newest of a store. Raises Refused (2056)."""
        path = f"/stores/{store_id}/authorization-models"
        made = self.server.post("write_model", path, to_json(model), is_repeatable=False)
        return self.engine(store_id, member(made, "authorization_model_id", str), model)

    def models(self, store: str) -> list[SavedModel]:
        store_id = self.store_id(store)
        found: list[SavedModel] = []
        token = ""
        while store_id:
            query = {"page_size": 50} | ({"continuation_token": token} if token else {})
            page = self.server.get("read_models", f"/stores/{store_id}/authorization-models", **query)
            found += [SavedModel(member(one, "id", str), None) for one in member(page, "authorization_models", list)]
            token = str(page.get("continuation_token") or "")
            if not token:
                break
        return found

    def remove(self, store: str) -> None:
        store_id = self.store_id(store)
        if store_id:
            self.server.delete("delete_store", f"/stores/{store_id}")

    def store_id(self, store: str) -> str:
        """Return the id of a store by its name (the oldest, when several have it) or its id; "" when there is none.
        Raises ProviderMisconfigured for an id that the server does not know."""
        if _ID.fullmatch(store):
            return str(member(self.server.get("get_store", f"/stores/{store}"), "id", str))
        answer = self.server.get("list_stores", "/stores", name=store, page_size=50)
        if "stores" not in answer:
            raise no_openfga()
        found = member(answer, "stores", list)
        named = [(member(one, "created_at", str), member(one, "id", str)) for one in found if one.get("name") == store]
        return min(named)[1] if named else ""

    def make(self, store: str) -> str:
        """Make a store and return its id."""
        return str(member(self.server.post("make_store", "/stores", {"name": store}, is_repeatable=False), "id", str))

    def health(self) -> Health:
        """Look the product's store up: by that an address is known that is another's."""
        try:
            self.store_id(settings.OPENFGA_STORE)
        except Refused as refused:
            return Health(False, f"OPENFGA_STORE: {refused}")
        except AppError as error:
            return Health(False, error.detail)
        return Health(True, settings.OPENFGA_URL)


def _check_whole(found: Sequence[Any], began: float) -> None:
    """Raise ListCutOff when a list may have been cut: the server does not say so."""
    if len(found) >= _MOST_LISTED or time.monotonic() - began >= _SECONDS_PER_LIST:
        raise ListCutOff(provider="openfga", count=len(found))


def _page(found: Sequence[str], limit: int, after: str | None) -> Page:
    return page([one for one in found if after is None or _id_of(one) > id_of(after)][: limit + 1], limit)


def _id_of(item: str) -> str:
    return item.partition(":")[2].partition("#")[0]


def _differs(was: Tuple, one: Tuple) -> bool:
    return (was.condition, was.context or None) != (one.condition, one.context or None)


def _key(one: Tuple, *, is_bare: bool = False) -> dict[str, Any]:
    """A tuple as the server writes it; deletes and reads name no condition."""
    key: dict[str, Any] = {"user": str(one.subject), "relation": one.relation, "object": str(one.object)}
    if one.condition and not is_bare:
        key["condition"] = {"name": one.condition, "context": dict(one.context or {})}
    return key


def _tuple(key: Mapping[str, Any]) -> Tuple:
    try:
        return Tuple.parse(key)
    except Refused as refused:
        raise ProviderAnswerInvalid(f"The OpenFGA server's answer has a tuple that is none: {refused}") from refused


def _subject(user: Any) -> Subject:
    """A user of list-users: {"object": {...}}, {"userset": {...}} or {"wildcard": {"type": ...}}."""
    for name in ("object", "userset", "wildcard"):
        held = user.get(name) if isinstance(user, dict) else None
        if isinstance(held, dict):
            return Subject(member(held, "type", str), str(held.get("id") or "*"), str(held.get("relation") or ""))
    raise ProviderAnswerInvalid("The OpenFGA server's answer has a user that is none.", provider="openfga")


def _node(node: Mapping[str, Any]) -> Node:
    return Node(member(node, "name", str), _content(node))


def _content(node: Mapping[str, Any]) -> Content:
    if isinstance(found := node.get("difference"), dict):
        return Operator("difference", (_node(found["base"]), _node(found["subtract"])))
    for name in ("union", "intersection"):
        if isinstance(found := node.get(name), dict):
            return Operator(name, tuple(_node(each) for each in member(found, "nodes", list)))
    leaf = member(node, "leaf", dict)
    if isinstance(found := leaf.get("users"), dict):
        return Users(tuple(member(found, "users", list)))
    if isinstance(found := leaf.get("computed"), dict):
        return ComputedLeaf(member(found, "userset", str))
    found = member(leaf, "tupleToUserset", dict)
    return TuplesetLeaf(member(found, "tupleset", str), tuple(_usersets(member(found, "computed", list))))


def _usersets(found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    return (member(one, "userset", str) for one in found)
