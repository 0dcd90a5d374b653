"""How work reaches the workers. PostgreSQL keeps the jobs (`core.jobs`); the broker carries nothing but their ids."""

from __future__ import annotations

from typing import Any

from kombu import Exchange, Queue

# A message that no worker acknowledged is delivered again after this many seconds. It must exceed the longest time
# limit of a job; a job whose worker died is back much sooner, since the relay watches its lease.
VISIBILITY_SECONDS = 6 * 3600


def broker_url(broker: str, redis: str) -> str:
    """Return the address of the broker as kombu writes it (`unix://` sockets are `redis+socket://` there)."""
    url = broker or redis or "redis://127.0.0.1:6379/0"
    if url.startswith("unix://"):
        url = "redis+socket://" + url.removeprefix("unix://").replace("?db=", "?virtual_host=")
    return url


def celery(broker: str, redis: str) -> dict[str, Any]:
    """Return the settings of Celery, by their names in Django (CELERY_…)."""
    queues = [Queue(name, Exchange(name, type="direct"), routing_key=name) for name in ("high", "default", "low")]
    url = broker_url(broker, redis)
    transport: dict[str, Any] = {}
    if url.startswith(("redis", "rediss")):
        transport = {
            "visibility_timeout": VISIBILITY_SECONDS,
            "queue_order_strategy": "priority",  # the queues are emptied in the order in which they are listed
            "socket_connect_timeout": 0.5,
            "socket_timeout": 1,  # nobody waits for a broker that hangs; `project.celery` gives the worker more
            "max_retries": 1,  # a request must not wait for a broker that is down
            "interval_start": 0,
            "interval_step": 0.1,
            "interval_max": 0.1,
        }
    elif url.startswith(("amqp", "amqps", "pyamqp")):
        for queue in queues:
            queue.queue_arguments = {"x-queue-type": "quorum", "x-delivery-limit": 5}
        transport = {"confirm_publish": True, "max_retries": 1, "interval_start": 0, "interval_max": 0.1}
    return {
        "CELERY_BROKER_URL": url,
        "CELERY_BROKER_TRANSPORT_OPTIONS": transport,
        "CELERY_BROKER_CONNECTION_TIMEOUT": 1.0,
        "CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP": True,
        "CELERY_BROKER_CONNECTION_MAX_RETRIES": None,
        "CELERY_TASK_QUEUES": queues,
        "CELERY_TASK_DEFAULT_QUEUE": "default",
        "CELERY_TASK_DEFAULT_EXCHANGE": "default",
        "CELERY_TASK_DEFAULT_ROUTING_KEY": "default",
        "CELERY_TASK_ACKS_LATE": True,
        "CELERY_TASK_REJECT_ON_WORKER_LOST": True,
        "CELERY_TASK_IGNORE_RESULT": True,
        "CELERY_TASK_SERIALIZER": "json",
        "CELERY_ACCEPT_CONTENT": ["json"],
        "CELERY_WORKER_CONSUMER": "core.workers.consumer:Consumer",
        "CELERY_WORKER_PREFETCH_MULTIPLIER": 1,
        "CELERY_WORKER_HIJACK_ROOT_LOGGER": False,
        "CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS": False,
        "CELERY_WORKER_SEND_TASK_EVENTS": False,
        "CELERY_TIMEZONE": "UTC",
    }
