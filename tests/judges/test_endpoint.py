"""Keys and addresses from the environment; no key goes to a host it was not made for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.core import UserError
from judges.calls import Call, request_body
from judges.config import Connection
from judges.endpoint import NO_KEY, endpoint
from judges.grader import Judge
from tests.judges.conftest import items
from tests.judges.server import verdict

AZURE = {
    "AZURE_OPENAI_ENDPOINT": "https://team.openai.azure.com",
    "AZURE_OPENAI_API_KEY": "azure-key",
    "OPENAI_API_VERSION": "2024-10-21",
}
PLACES = {
    "OpenAI": ({"OPENAI_API_KEY": "k1234"}, {}, "openai", "https://api.openai.com/v1", "k1234"),
    "another server": (
        {"OPENAI_API_KEY": "k1234", "OPENAI_BASE_URL": "https://llm.team.org/v1/"}, {}, "compatible",
        "https://llm.team.org/v1", "k1234",
    ),
    "Azure": (AZURE, {}, "azure", "https://team.openai.azure.com?api-version=2024-10-21", "azure-key"),
    "Azure with Entra ID": (
        {**AZURE, "AZURE_OPENAI_API_KEY": "", "AZURE_OPENAI_AD_TOKEN": "token1"}, {}, "azure",
        "https://team.openai.azure.com?api-version=2024-10-21", "token1",
    ),
    "Azure's address of version 1": (
        {"OPENAI_API_KEY": "k1234", "OPENAI_BASE_URL": "https://team.openai.azure.com/openai/v1/"}, {}, "openai",
        "https://team.openai.azure.com/openai/v1", "k1234",
    ),
    "OpenAI in Europe": (
        {"OPENAI_API_KEY": "k1234", "OPENAI_BASE_URL": "https://eu.api.openai.com/v1"}, {}, "openai",
        "https://eu.api.openai.com/v1", "k1234",
    ),
    "a host that only looks like OpenAI's": (
        {"OPENAI_API_KEY": "k1234", "OPENAI_BASE_URL": "https://fakeapi.openai.com.org/v1"}, {}, "compatible",
        "https://fakeapi.openai.com.org/v1", "k1234",
    ),
    "local, no key": ({}, {"base_url": "http://localhost:8000/v1"}, "compatible", "http://localhost:8000/v1", NO_KEY),
    "local, OpenAI's key is not sent": (
        {"OPENAI_API_KEY": "k1234"}, {"base_url": "http://localhost:8000/v1"}, "compatible",
        "http://localhost:8000/v1", NO_KEY,
    ),
    "local, its own key": (
        {"LOCAL": "mine1"}, {"base_url": "http://localhost:8000/v1", "key_variable": "LOCAL"}, "compatible",
        "http://localhost:8000/v1", "mine1",
    ),
    "given and in the environment": (
        {"OPENAI_API_KEY": "k1234", "OPENAI_BASE_URL": "https://a.org/v1"}, {"base_url": "https://a.org/v1"},
        "compatible", "https://a.org/v1", "k1234",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_the_endpoint_comes_from_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables, link, kind, place_name, key = PLACES[name]
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    place = endpoint(Connection(**link))
    assert (place.kind, place.name, place.key, place.missing) == (kind, place_name, key, "")
    assert key not in repr(place) or key == NO_KEY


def test_a_missing_key_is_told_when_a_call_is_needed_and_not_before(tmp_path: object, config: Callable) -> None:
    place = endpoint(Connection())
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        place.client(Connection())
    with pytest.raises(UserError, match="is not set"):
        endpoint(Connection(base_url="https://elsewhere.org/v1")).client(Connection())


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/v1", "localhost:8000", "https://user:pass@host/v1", "https://host/v1?api-key=abc", "http://h:x/v1",
        "https://host/sk-abcdef123456/v1", "https://host/v1#abc",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_used_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(UserError) as caught:
        endpoint(Connection(base_url=url))
    assert "pass" not in str(caught.value).replace("password", "")
    assert "abc" not in str(caught.value)


def test_azure_is_asked_by_deployment_with_its_own_header(
    start: Callable, config: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(lambda body, number: verdict("correct"))
    for variable, value in {**AZURE, "AZURE_OPENAI_ENDPOINT": server.url.removesuffix("/v1")}.items():
        monkeypatch.setenv(variable, value)
    settings = config(server, link={})
    settings = replace(settings, model="my-deployment", connection=replace(settings.connection, base_url=""))
    assert Judge(settings).grade(items(1))["i0"].value == 1.0
    path, body, headers = server.requests[0]
    assert path == "/openai/deployments/my-deployment/chat/completions"
    assert headers["api-key"] == "azure-key"
    assert "max_completion_tokens" in body


def test_azure_takes_an_entra_token_where_no_key_is_set(
    start: Callable, config: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(lambda body, number: verdict("correct"))
    token = {"AZURE_OPENAI_API_KEY": "", "AZURE_OPENAI_AD_TOKEN": "token1"}
    for variable, value in {**AZURE, **token, "AZURE_OPENAI_ENDPOINT": server.url.removesuffix("/v1")}.items():
        monkeypatch.setenv(variable, value)
    settings = config(server, link={})
    settings = replace(settings, connection=replace(settings.connection, base_url=""))
    assert Judge(settings).grade(items(1))["i0"].value == 1.0
    assert server.requests[0][2]["authorization"] == "Bearer token1"
    assert "api-key" not in server.requests[0][2]


AZURE_GAPS = {
    "no key": ({"AZURE_OPENAI_API_KEY": ""}, "AZURE_OPENAI_API_KEY (or AZURE_OPENAI_AD_TOKEN)"),
    "no version": ({"OPENAI_API_VERSION": ""}, "OPENAI_API_VERSION"),
}


@pytest.mark.parametrize("name", AZURE_GAPS)
def test_what_azure_lacks_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changes, named = AZURE_GAPS[name]
    for variable, value in {**AZURE, **changes}.items():
        monkeypatch.setenv(variable, value)
    assert named in endpoint(Connection()).missing


@pytest.mark.parametrize("key", ["sk-abc\ndef", "sk-abc def", "sk-abc\u2026def", "sk-abc\x00def"])
def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "\x00" in key:
        monkeypatch.setattr("os.environ", {"OPENAI_API_KEY": key})
    else:
        monkeypatch.setenv("OPENAI_API_KEY", key)
    place = endpoint(Connection())
    with pytest.raises(UserError, match="OPENAI_API_KEY holds a blank") as caught:
        place.client(Connection())
    assert "abc" not in str(caught.value)
    assert "def" not in repr(place)


def test_an_address_that_holds_the_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "Team-Key-1")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://gateway.org/team-key-1/v1")
    with pytest.raises(UserError, match="holds a key in its path") as caught:
        endpoint(Connection())
    assert "team-key" not in str(caught.value).casefold()


def test_each_kind_of_server_gets_the_parameters_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k1234")
    hosted, local = endpoint(Connection()), endpoint(Connection(base_url="http://localhost:1/v1"))
    plain, reasoning = (Call(model=name, messages=(), max_tokens=5, seed=0) for name in ("gpt-4o", "o4-mini"))
    assert "max_completion_tokens" in request_body(plain, hosted)
    assert "max_tokens" in request_body(plain, local)
    assert {"temperature", "seed"} <= set(request_body(plain, hosted))
    assert not {"temperature", "seed"} & set(request_body(reasoning, hosted))


def test_importing_judges_does_not_import_openai() -> None:
    program = "import sys, judges; sys.exit(any(m in sys.modules for m in ('openai', 'httpx', 'httpx2')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


SECRETS = ["sk-abcdef123456", "Bearer abcdef123456", "https://me:hunter2@host/", "?api-key=hunter22"]


@pytest.mark.parametrize("text", SECRETS)
def test_anything_shaped_like_a_secret_is_scrubbed(text: str) -> None:
    place = endpoint(Connection(base_url="http://localhost:1/v1"))
    shown = place.scrub(f"before {text} after\x1b[31m")
    assert "hunter" not in shown
    assert "abcdef" not in shown
    assert "\x1b" not in shown
    assert shown.startswith("before")
