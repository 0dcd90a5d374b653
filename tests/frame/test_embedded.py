"""The embedded servers: in deep folders with blanks, with and without user namespaces, killed and left behind."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from core.embedded import for_command, identity, keys, places, postgres
from core.embedded.local import LocalServers
from core.embedded.postgres import APP, OWNER, Postgres
from core.embedded.valkey import Valkey

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run PostgreSQL as somebody else")


@pytest.fixture
def sockets() -> Iterator[Path]:
    folder = places.short_folder("countinghouse-embedded-")
    yield folder
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _deep(folder: Path, length: int = 251) -> Path:
    """A folder with blanks whose path has `length` characters."""
    while len(str(folder)) < length - 30:
        folder = folder / "a folder with blanks"
    folder = folder / ("x" * (length - len(str(folder)) - 1))
    folder.mkdir(parents=True)
    assert len(str(folder)) == length
    return folder


def _works(server: Postgres) -> None:
    server.create()
    server.start()
    server.create_roles()
    with psycopg.connect(server.url(APP)) as connection:
        assert connection.execute("select current_user, lower('ÄÖ')").fetchone() == (APP, "äö")
        assert connection.execute("show listen_addresses").fetchone() == ("",)
    with psycopg.connect(server.url(OWNER)) as connection:
        connection.execute(
            "create extension if not exists pg_trgm; create table kept (id int); insert into kept values (1)"
        )
    server.stop()
    assert server.pid is None
    server.start()
    with psycopg.connect(server.url(OWNER)) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (1,)
    server.stop()


def test_postgres_works_in_a_deep_folder_with_blanks(tmp_path: Path, sockets: Path) -> None:
    deep = _deep(tmp_path)
    _works(Postgres(deep / "data", sockets, log=deep / "log"))


@as_root
def test_a_closed_home_stays_closed(tmp_path: Path, sockets: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    _works(Postgres(home / "data", sockets, log=home / "log"))
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "data").stat().st_mode) == 0o700


@as_root
def test_a_system_user_stands_in_where_namespaces_are_forbidden(tmp_path: Path, sockets: Path, monkeypatch) -> None:
    monkeypatch.setattr(identity, "may_use_namespaces", lambda: False)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    server = Postgres(home / "data", sockets, log=home / "log")
    assert server.identity.needs_copies
    _works(server)
    assert (home / "data" / "PG_VERSION").exists(), "the data came back"
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_failed_start_shows_the_end_of_the_log(tmp_path: Path, sockets: Path) -> None:
    server = Postgres(tmp_path / "data", sockets, log=tmp_path / "log", settings={"no_such_setting": "1"})
    server.create()
    with pytest.raises(postgres.ServerFailed, match="no_such_setting"):
        server.start()


def test_valkey_keeps_its_queue_and_evicts_only_what_expires(tmp_path: Path, sockets: Path) -> None:
    import redis

    deep = _deep(tmp_path)
    server = Valkey(deep / "data", sockets, log=deep / "log", is_durable=True)
    server.start()
    client = redis.Redis.from_url(server.url)
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-lru"}
    client.rpush("queue", "job")
    client.close()
    server.stop()
    assert not server.is_ready
    server.start()
    assert redis.Redis.from_url(server.url).lrange("queue", 0, -1) == [b"job"]
    server.stop()


def test_the_last_of_several_commands_stops_the_servers(tmp_path: Path) -> None:
    first, second = LocalServers(tmp_path / "state"), LocalServers(tmp_path / "state")
    variables = first.attach()
    assert second.attach() == variables
    first.release()
    with psycopg.connect(variables["DATABASE_URL"]):
        pass
    second.release()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(variables["DATABASE_URL"])
    assert not (tmp_path / "state" / "state.json").exists()


def test_servers_that_a_killed_command_left_are_used_again(tmp_path: Path) -> None:
    left = LocalServers(tmp_path / "state")
    variables = left.attach()
    left._users.close()  # as the system does when a process is killed
    left._users = None
    later = LocalServers(tmp_path / "state")
    assert later.attach() == variables
    later.release()


def test_a_killed_postgres_comes_back_with_its_data_though_a_child_of_it_still_works(tmp_path: Path) -> None:
    servers = LocalServers(tmp_path / "state")
    variables = servers.attach(valkey=False)
    with psycopg.connect(variables["MIGRATION_DATABASE_URL"]) as connection:
        connection.execute("create table kept (id int)")
    busy = psycopg.connect(variables["MIGRATION_DATABASE_URL"])
    busy.pgconn.send_query(b"select count(*) from generate_series(1, 10000000)")
    pid = servers.postgres(Path(servers._state()["sockets"])).pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    variables = LocalServers(tmp_path / "state").attach(valkey=False)
    with psycopg.connect(variables["MIGRATION_DATABASE_URL"]) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)
    LocalServers(tmp_path / "state").stop()


def test_secrets_are_made_once_and_closed_to_others(tmp_path: Path) -> None:
    first = keys.persisted(tmp_path / "state")
    assert keys.persisted(tmp_path / "state") == first
    assert len(first["SECRET_KEY"]) >= 50
    assert stat.S_IMODE((tmp_path / "state" / "secrets.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


@pytest.mark.parametrize("given", [{"DATABASE_URL": "postgresql:///x", "REDIS_URL": "redis://x"}])
def test_servers_that_are_named_switch_the_embedded_ones_off(given: dict[str, str]) -> None:
    environment = dict(given)
    for_command.serve(["manage.py", "shell"], environment)
    assert environment == given


@pytest.mark.parametrize("argv", [["manage.py", "check"], ["manage.py", "migrate", "--help"], ["manage.py"]])
def test_commands_that_ask_no_server_start_none(argv: list[str]) -> None:
    environment: dict[str, str] = {}
    for_command.serve(argv, environment)
    assert environment == {}


def test_production_starts_no_server() -> None:
    environment = {"COUNTINGHOUSE_ENV": "production"}
    for_command.serve(["manage.py", "migrate"], environment)
    assert environment == {"COUNTINGHOUSE_ENV": "production"}
