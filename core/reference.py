"""The reference pages, made from the code: events, errors, permissions, commands and settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.core.management import get_commands, load_command_class

from core import access, events
from core.config import REQUIRED
from core.errors import AppError

_MADE = "<!-- Made by `manage.py reference`; do not edit. -->"


def table(headings: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a Markdown table."""
    headings = list(headings)
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def page(title: str, lead: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", _MADE, lead, *parts]) + "\n"


def _by_app(names: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        groups[name.split(".", 1)[0]].append(name)
    return groups


def events_page() -> str:
    """Every event type by app."""
    parts = []
    for app, names in _by_app(events.catalogue).items():
        kinds = [events.catalogue[name] for name in names]
        rows = [
            (f"`{kind.name}`", kind.subject, kind.text, ", ".join(f"`{path}`" for path in kind.personal) or "")
            for kind in kinds
        ]
        parts.append(f"## {app}\n\n" + table(("type", "subject", "what happened", "kept encrypted"), rows))
    lead = "Facts in the past tense, recorded in the transaction of the change. Types never change once shipped."
    return page("Events", lead, *parts)


def all_errors(root: type[AppError] = AppError) -> list[type[AppError]]:
    """Every kind of error of the house, the root first."""
    return [root, *(found for child in root.__subclasses__() for found in all_errors(child))]


def errors_by_code() -> dict[str, type[AppError]]:
    """Every error code with the kind that it stands for, sorted."""
    found: dict[str, type[AppError]] = {}
    for error in all_errors():
        found.setdefault(error.code, error)
    return dict(sorted(found.items()))


def errors_page() -> str:
    """Every error code. The server shows the same at the `type` of problem documents (`core/error_pages.py`)."""
    rows = [
        (f'<a id="{code}"></a>`{code}`', error.status, error.title, "yes" if error.is_retryable else "")
        for code, error in errors_by_code().items()
    ]
    lead = (
        "Every failed request answers one `application/problem+json` document (RFC 9457) with `type`, `title`, "
        "`status`, `detail`, `instance`, `code`, `request_id` and, for faults of the input, "
        "`errors[{pointer, code, detail}]`. "
        "Codes never change once shipped."
    )
    return page("Errors", lead, table(("code", "status", "meaning", "try again later"), rows))


def permissions_page() -> str:
    """Every permission and the roles that hold it."""
    rows = []
    for name in sorted(access.permissions):
        permission = access.permissions[name]
        holders = access.holders(name)
        roles = ", ".join(role for role in access.Role if role in holders.roles)
        marks = ("yes" if holds else "" for holds in (holders.is_for_keys, holders.is_for_staff))
        rows.append((f"`{name}`", permission.text, roles, *marks))
    lead = (
        "Who may do what: roles in the object's organisation, API keys that have it as a scope, roles of the "
        "organisation's own making that hold it, and staff. Made from the permission model (`fga.mod`)."
    )
    return page("Permissions", lead, table(("permission", "allows to", "roles", "API keys", "staff"), rows))


def commands_page(apps: Iterable[str]) -> str:
    """Every command of `manage.py` that comes from `apps`."""
    parts = []
    for name, app in sorted(get_commands().items()):
        if str(getattr(app, "name", app)) not in apps:
            continue
        command = load_command_class(app, name) if isinstance(app, str) else app
        usage = command.create_parser("manage.py", name)
        own = [action for action in usage._actions if action.dest not in _COMMON_OPTIONS]
        rows = [(f"`{', '.join(action.option_strings) or action.dest}`", action.help or "") for action in own]
        options = table(("argument", "meaning"), rows) if rows else ""
        parts.append(f"## {name}\n\n{command.help}\n\n{options}".rstrip())
    return page("Commands", "What `python3 manage.py` can do besides Django's own commands.", *parts)


_COMMON_OPTIONS = {
    "help", "version", "verbosity", "settings", "pythonpath", "traceback", "no_color", "force_color", "skip_checks",
}  # fmt: skip


def settings_page(variables: Iterable[Any]) -> str:
    """Every environment variable by group."""
    groups: dict[str, list[Any]] = defaultdict(list)
    for variable in variables:
        groups[variable.group].append(variable)
    parts = []
    for group, members in groups.items():
        rows = [(f"`{v.name}`", v.type.__name__, default_text(v), v.help) for v in members]
        parts.append(f"## {group}\n\n" + table(("variable", "type", "default", "meaning"), rows))
    lead = (
        "Environment variables. All faults are named together at start. `NAME_FILE` may name a file that holds "
        "the value of `NAME`. `COUNTINGHOUSE_ENV` is `development`, `test` or `production`."
    )
    return page("Settings", lead, *parts)


def default_text(variable: Any) -> str:
    """The default as the pages show it; secrets are never shown."""
    default = variable.default
    if not callable(default):
        return "" if variable.is_secret else _shown(default)
    if default("production") is REQUIRED:
        return "required in production"
    return f"{_shown(default('production')) or 'none'} in production, else {_shown(default('development')) or 'none'}"


def _shown(default: Any) -> str:
    if default in ("", [], None):
        return ""
    if isinstance(default, list):
        return f"`{','.join(map(str, default))}`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def env_example(variables: Iterable[Any]) -> str:
    """Return the text of `.env.example`: every variable with its meaning and default, commented out."""
    lines = [
        "# Every variable of Countinghouse, made by `manage.py reference`. None must be set for development.",
        "# Secrets may come from files: SECRET_KEY_FILE=/run/secrets/secret_key",
    ]
    found = list(variables)
    for group in dict.fromkeys(variable.group for variable in found):
        lines += ["", f"# --- {group} ---"]
        for variable in found:
            if variable.group == group:
                lines += ["", f"# {variable.help}", f"# {variable.name}={_development(variable)}"]
    return "\n".join(lines) + "\n"


def _development(variable: Any) -> str:
    """The default as one would write it into the environment; nothing for a secret, which is made on first use."""
    default = variable.default("development") if callable(variable.default) else variable.default
    if variable.is_secret:
        return ""
    if isinstance(default, list):
        return ",".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)
