from django.apps import AppConfig


class ToyStreamsConfig(AppConfig):
    name = "tests.support.toy_streams"
    label = "toy_streams"

    def ready(self) -> None:
        from tests.support.toy_streams import sources  # noqa: F401 - declares the streams
