from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """The frame as an app, for the commands that concern the whole house."""

    name = "project"
    verbose_name = "Countinghouse"
