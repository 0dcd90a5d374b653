"""The product's own model: what it names, what it keeps, and tuples that follow rows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import transaction

from accounts.models import ApiKey, Membership, Organization, RelationChange, RelationTuple, User
from accounts.permissions import asking, product
from accounts.permissions.engine import save_model
from accounts.permissions.language import check, combine, from_json, parse, to_json
from accounts.permissions.language.model import Computed, Model, Relation, leaves
from accounts.permissions.models import PermissionModel, PermissionNode, PermissionStore
from core import access
from core.access import Role

pytestmark = pytest.mark.django_db
OWN = """model
  schema 1.1
type project
  relations
    define viewer: [user]
"""


def test_is_without_a_fault() -> None:
    assert check(product.shipped()) == []
    assert product.missing(product.shipped()) == []


def leading_to(relation: Relation) -> set[str]:
    return {leaf.relation for leaf in leaves(relation.rewrite) if isinstance(leaf, Computed)}


def test_names_every_permission_and_no_other() -> None:
    """A relation with a dot is a permission, a scope of several (`any`) or what follows from them (`see`)."""
    shipped = product.shipped()
    for kind in ("organization", "company"):
        named = {name for name in shipped.types[kind].relations if "." in name}
        words = {name for name in named if name.rsplit(".", 1)[1] not in ("any", "see")}
        assert words <= set(access.permissions), kind
        if kind == "company":
            assert words == set(access.permissions), "staff hold a permission by a relation of the company"


def test_lets_whoever_may_do_anything_to_things_of_a_kind_see_them() -> None:
    for kind in ("organization", "company"):
        relations = product.shipped().types[kind].relations
        for seeing in (name for name in relations if name.endswith(".see")):
            noun = seeing.removesuffix(".see")
            verbs = {n for n in access.permissions if n.rpartition(".")[0] == noun and n in relations}
            assert verbs <= leading_to(relations[seeing]), (kind, seeing)


def test_bounds_a_key_by_scopes_that_end_in_a_star() -> None:
    relations = product.shipped().types["organization"].relations
    for name in access.permissions:
        if access.holders(name).is_for_keys:
            noun = name.rpartition(".")[0]
            assert f"{noun}.any" in leading_to(relations[name]), name
            assert f"{noun.partition('.')[0]}.any" in leading_to(relations[f"{noun}.any"]), name


def with_own(model: Model) -> Model:
    return replace(model, types={**model.types, **parse(OWN).types})


def newest() -> PermissionModel:
    return PermissionModel.objects.filter(store__name=product.STORE).latest("pk")


def test_keeps_what_the_company_added_when_the_product_changes() -> None:
    store = PermissionStore.objects.get(name=product.STORE)
    shipped = product.shipped()
    organization = shipped.types["organization"]
    kept = {name: one for name, one in organization.relations.items() if name != "accounts.ownership.manage"}
    older = replace(shipped, types={**shipped.types, "organization": replace(organization, relations=kept)})
    PermissionModel.objects.create(store=store, document=to_json(with_own(older)))
    found = from_json(product.sync().document)
    assert found == with_own(shipped)
    assert product.sync().pk == newest().pk


def test_keeps_a_relation_that_the_company_added_to_a_type_of_ours() -> None:
    """Beside our types in their own module: JSON says no module of it."""
    store, shipped = PermissionStore.objects.get(name=product.STORE), product.shipped()
    own = parse(OWN.replace("type project", "type user\ntype project").replace("viewer", "auditor")).types["project"]
    team = shipped.types["team"]
    added = replace(team, relations={**team.relations, "auditor": own.relations["auditor"]})
    document = to_json(replace(shipped, types={**shipped.types, "team": added}))
    kept = from_json(document)
    lacking = {n: one for n, one in kept.types["company"].relations.items() if n != "accounts.permission.ask"}
    before = replace(kept, types={**kept.types, "company": replace(kept.types["company"], relations=lacking)})
    PermissionModel.objects.create(store=store, document=to_json(before))
    found = from_json(product.sync().document)
    assert "auditor" in found.types["team"].relations
    assert product.missing(found) == []


def test_names_what_a_model_lacks_that_the_product_needs() -> None:
    shipped = product.shipped()
    assert product.missing(with_own(shipped)) == []
    lacking = replace(shipped, types={name: one for name, one in shipped.types.items() if name != "company"})
    assert [fault.symbol for fault in product.missing(lacking)] == ["company"]
    loose = combine({"a.fga": "module a\ntype user\ntype organization\n  relations\n    define owner: [user]\n"}, "1.2")
    assert "viewer" in {fault.symbol for fault in product.missing(loose)}


def test_compiles_anew_what_another_compiler_had_compiled() -> None:
    row = newest()
    PermissionNode.objects.filter(model=row).delete()
    PermissionModel.objects.filter(pk=row.pk).update(digest="old")
    product.sync()
    assert PermissionNode.objects.filter(model=row).count() == len(asking.engine_of(row).program.nodes)


def test_compiles_a_model_to_the_same_numbers_wherever_it_was_read_from() -> None:
    """PostgreSQL keeps the members of a JSON document in an order of its own."""
    store = PermissionStore.objects.create(name="again")
    made = save_model(store, product.shipped())
    read = asking.engine_of(PermissionModel.objects.get(pk=made.model_id))
    assert made.program.relations == read.program.relations
    assert made.program.digest == read.program.digest


# --- tuples that follow rows ---


def tuples() -> set[str]:
    return set(map(str, RelationTuple.objects.filter(store__name=product.STORE)))


def test_follows_a_membership_whatever_writes_it(organization: Organization, owner: User, team_mate: User) -> None:
    place = f"organization:{organization.pk}"
    assert tuples() == {f"{place}#owner@user:{owner.pk}", f"{place}#member@user:{team_mate.pk}"}
    Membership.objects.filter(user=team_mate).update(role=Role.ADMIN)
    assert tuples() == {f"{place}#owner@user:{owner.pk}", f"{place}#admin@user:{team_mate.pk}"}
    Membership.objects.filter(user=team_mate).delete()
    assert tuples() == {f"{place}#owner@user:{owner.pk}"}
    said = [(one.operation, one.relation) for one in RelationChange.objects.order_by("id")]
    assert said == [
        ("write", "owner"),
        ("write", "member"),
        ("delete", "member"),
        ("write", "admin"),
        ("delete", "admin"),
    ]


def test_says_nothing_when_a_row_is_saved_as_it_was(organization: Organization, owner: User) -> None:
    before = RelationChange.objects.count()
    Membership.objects.get(user=owner).save()
    assert RelationChange.objects.count() == before


def test_takes_the_tuple_back_with_the_row(organization: Organization, team_mate: User) -> None:
    before = tuples()
    with transaction.atomic():
        Membership.objects.filter(user=team_mate).update(role=Role.OWNER)
        assert tuples() != before
        transaction.set_rollback(True)
    assert tuples() == before


def test_follows_the_scopes_of_a_key_until_it_is_revoked(organization: Organization) -> None:
    key = ApiKey.objects.create(
        organization=organization, lookup="k", secret_hash=b"", scopes=["billing.*", "accounts.team.view"]
    )

    def relations() -> set[str]:
        return set(RelationTuple.objects.filter(subject_id=str(key.pk)).values_list("relation", flat=True))

    assert relations() == {"insider", "billing.any", "accounts.team.view"}
    key.scopes = ["accounts.*"]
    key.save()
    assert relations() == {"insider", "accounts.any"}
    ApiKey.objects.update(revoked_at="2026-01-01T00:00:00Z")
    assert relations() == set()
