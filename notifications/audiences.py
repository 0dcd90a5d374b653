"""Whom an event is told to. An audience is a function from news to the keys of people."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias
from uuid import UUID

from core import access
from core.access import Role
from notifications.news import News

Audience: TypeAlias = Callable[[News], Iterable[UUID]]

_PEOPLE = ("user", "staff")


def person(news: News) -> set[UUID]:
    """Return the person of whom the event speaks: its subject, or the one that it names as `user_id`; of a session, who
    signed in."""
    event = news.event
    if event.subject_type == "user":
        return {event.subject_id}
    named = news.key("user_id")
    if named is not None:
        return {named}
    return asker(news) if event.subject_type == "session" else set()


def asker(news: News) -> set[UUID]:
    """Return the person who acted, or as whom somebody acted."""
    event = news.event
    if event.on_behalf_of_type in _PEOPLE and event.on_behalf_of_id is not None:
        return {event.on_behalf_of_id}
    return {event.actor_id} if event.actor_type in _PEOPLE and event.actor_id is not None else set()


def staff(news: News) -> frozenset[UUID]:
    """Return all of the company's own people."""
    return news.people.staff


def members(roles: frozenset[Role]) -> Audience:
    """Return the audience of the organisation's members who hold one of `roles`."""

    def of_organization(news: News) -> set[UUID]:
        return news.people.members(news.event.organization_id, roles)

    return of_organization


def all_of(*audiences: Audience) -> Audience:
    """Return the audience of everybody who is in one of `audiences`."""

    def together(news: News) -> set[UUID]:
        return {key for audience in audiences for key in audience(news)}

    return together


ADMINS: Final = members(access.ADMINS)
BILLING: Final = members(access.BILLING)
