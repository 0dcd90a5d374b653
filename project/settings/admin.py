"""How the admin looks: django-unfold's settings. The menu and the figures stand in `project/admin*.py`."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static

# Ink and paper with the green of a ledger's cloth; oklch as Unfold's own scales.
BASE = {
    "50": "oklch(98.4% .003 160)",
    "100": "oklch(96.4% .004 165)",
    "200": "oklch(92.4% .006 168)",
    "300": "oklch(86.6% .009 170)",
    "400": "oklch(70.4% .016 172)",
    "500": "oklch(55.2% .019 174)",
    "600": "oklch(44.4% .021 176)",
    "700": "oklch(36.8% .022 178)",
    "800": "oklch(26.8% .020 180)",
    "900": "oklch(20.4% .018 182)",
    "950": "oklch(14.2% .015 184)",
}
PRIMARY = {
    "50": "oklch(97.6% .018 166)",
    "100": "oklch(94.6% .044 165)",
    "200": "oklch(89.8% .078 165)",
    "300": "oklch(83.2% .112 165)",
    "400": "oklch(75.2% .128 164)",
    "500": "oklch(64.4% .120 164)",
    "600": "oklch(51.4% .098 165)",
    "700": "oklch(44.2% .084 166)",
    "800": "oklch(37.6% .070 167)",
    "900": "oklch(32.0% .058 168)",
    "950": "oklch(22.6% .042 170)",
}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Countinghouse",
    "SITE_HEADER": "Countinghouse",
    "SITE_SUBHEADER": "Back office",
    "SITE_ICON": {
        "light": lambda request: static("countinghouse/mark.svg"),
        "dark": lambda request: static("countinghouse/mark-dark.svg"),
    },
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("countinghouse/mark.svg")},
    ],
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "base": BASE,
        "primary": PRIMARY,
        "font": {
            "subtle-light": "var(--color-base-500)",
            "subtle-dark": "var(--color-base-400)",
            "default-light": "var(--color-base-600)",
            "default-dark": "var(--color-base-300)",
            "important-light": "var(--color-base-900)",
            "important-dark": "var(--color-base-100)",
        },
    },
    "STYLES": [lambda request: static("countinghouse/admin.css")],
    "SCRIPTS": [lambda request: static("countinghouse/admin.js")],
    "LOGIN": {
        "image": lambda request: static("countinghouse/sign-in.svg"),
        "form": "accounts.forms.AdminSignInForm",
    },
    "DASHBOARD_CALLBACK": "project.admin_dashboard.dashboard",
    "SIDEBAR": {"show_search": False, "command_search": False, "navigation": "project.admin_menu.menu"},
}
