from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class AdminConfig(admin_apps.AdminConfig):
    """Django's admin with our site."""

    default = False
    default_site = "project.admin.CountinghouseAdminSite"


class ProjectConfig(AppConfig):
    """The frame as an app, for the commands that concern the whole house."""

    default = True
    name = "project"
    verbose_name = "Countinghouse"

    def ready(self) -> None:
        from project.celery import app

        app.set_default()
