"""Where a model is reached, read from the environment: OpenAI, Azure OpenAI, or any server that speaks their API.

Goes in: environment variables and a `Connection`. Comes out: an `Endpoint` whose key never shows (`repr`, logs, files,
exception texts), and `scrub`, which every foreign text passes before it is kept or shown.

    OPENAI_API_KEY, OPENAI_BASE_URL                                    OpenAI, or any compatible server
    AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY, OPENAI_API_VERSION    Azure; the model is the deployment's name
    AZURE_OPENAI_AD_TOKEN                                              Azure with Entra ID, where no key is set

The names are those of the openai package. Azure's `/openai/v1` address is a compatible server: OPENAI_BASE_URL.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

from harness.core import UserError
from judges.config import Connection

if TYPE_CHECKING:
    from openai import AsyncOpenAI

OPENAI_URL = "https://api.openai.com/v1"
# these take max_completion_tokens, and their reasoning models nothing else
OPENAI_HOSTS = ("api.openai.com", ".api.openai.com", ".openai.azure.com", ".services.ai.azure.com")
LOOPBACK = ("localhost", "127.0.0.1", "::1", "0.0.0.0")
_SECRET_SHAPES = re.compile(r"(?i)\bsk-[\w*-]{6,}|\bbearer\s+[\w.~+/*=-]{6,}|(?<=://)[^/\s@]+@|(api[-_]?key=)[^&\s]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One server. `name` identifies it in cache keys and records; it holds host and path and nothing secret."""

    kind: Literal["openai", "azure", "compatible"]
    url: str
    name: str
    key: str = field(repr=False)
    is_token: bool = False
    api_version: str = ""
    missing: str = ""

    def client(self, connection: Connection) -> AsyncOpenAI:
        """An openai client that never retries: judges/caller.py is the one owner of retries. Nor does it follow a
        redirect: key and prompts stay with the server they were meant for.

        Raises UserError when no key is set. Not before: a dry run and a run from the cache need none.
        """
        if self.missing:
            raise UserError(self.missing)
        import openai

        http = openai.DefaultAsyncHttpxClient(follow_redirects=False)
        shared: dict[str, Any] = {"max_retries": 0, "timeout": connection.timeout_s, "http_client": http}
        if self.kind == "azure":
            return openai.AsyncAzureOpenAI(
                azure_endpoint=self.url,
                api_version=self.api_version,
                api_key=None if self.is_token else self.key,
                azure_ad_token=self.key if self.is_token else None,
                **shared,
            )
        return openai.AsyncOpenAI(base_url=self.url, api_key=self.key, **shared)

    def scrub(self, text: str) -> str:
        """`text` without the key, anything shaped like one, and control characters that could rewrite a terminal."""
        return _CONTROL.sub(" ", _SECRET_SHAPES.sub("[secret]", self.without_key(text)))

    def without_key(self, text: str) -> str:
        """`text` with the key taken out, as it is or escaped, and nothing else changed: for a model's reply, which is
        data."""
        if len(self.key) < 4 or self.key == NO_KEY:
            return text
        for shown in (self.key, quote(self.key, safe=""), json.dumps(self.key)[1:-1]):
            text = text.replace(shown, "[key]")
        return text


NO_KEY = "none"  # the openai package refuses an empty key; servers without keys ignore it


def endpoint(connection: Connection) -> Endpoint:
    """The endpoint of `connection`, completed from the environment.

    Raises UserError when the URL cannot be used; the text never holds the URL's secrets.
    """
    if not connection.base_url and os.environ.get("AZURE_OPENAI_ENDPOINT"):
        return _azure()
    from_environment = os.environ.get("OPENAI_BASE_URL", "") or OPENAI_URL
    url = (connection.base_url or from_environment).rstrip("/")
    host = _host(url, "the judge's base URL")
    variable = connection.key_variable
    if not variable and (not connection.base_url or url == from_environment.rstrip("/")):
        variable = "OPENAI_API_KEY"
    key, missing = _key(variable)
    _refuse_secret_path(url, key, "the judge's base URL")
    if not missing and not key and (connection.key_variable or host not in LOOPBACK):
        missing = (
            f"no key for {host}: the environment variable {variable or '(none named)'} is not set. Set OPENAI_API_KEY "
            "(and OPENAI_BASE_URL for another server), or name the variable that holds the key"
        )
    is_openai = any(host == known or (known[0] == "." and host.endswith(known)) for known in OPENAI_HOSTS)
    kind: Literal["openai", "compatible"] = "openai" if is_openai else "compatible"
    return Endpoint(kind=kind, url=url, name=_name(url), key=key or NO_KEY, missing=missing)


def endpoint_name(connection: Connection) -> str:
    """What identifies the server in cache keys and results: its scheme, host and path, nothing secret."""
    return endpoint(connection).name


def key_problem(connection: Connection) -> str:
    """Why no call could be sent: which variable is not set. "" when a key is there or none is needed."""
    return endpoint(connection).missing


def _azure() -> Endpoint:
    url = os.environ["AZURE_OPENAI_ENDPOINT"].rstrip("/")
    _host(url, "AZURE_OPENAI_ENDPOINT")
    key, missing = _key("AZURE_OPENAI_API_KEY")
    is_token = not key and not missing
    if is_token:
        key, missing = _key("AZURE_OPENAI_AD_TOKEN")
    _refuse_secret_path(url, key, "AZURE_OPENAI_ENDPOINT")
    version = os.environ.get("OPENAI_API_VERSION", "").strip()
    needed = {
        "AZURE_OPENAI_API_KEY (or AZURE_OPENAI_AD_TOKEN)": key,
        "OPENAI_API_VERSION (such as 2024-10-21)": version,
    }
    unset = [name for name, value in needed.items() if not value]
    if unset and not missing:
        missing = f"AZURE_OPENAI_ENDPOINT is set but {' and '.join(unset)} is not; set it"
    name = f"{_name(url)}?api-version={version}"
    return Endpoint(
        kind="azure", url=url, name=name, key=key or NO_KEY, is_token=is_token, api_version=version, missing=missing
    )


def _key(variable: str) -> tuple[str, str]:
    """(the key in `variable`, "" when there is none; why it cannot be sent, "" when it can). An HTTP header holds no blank
    and no letter beyond ASCII, and the error that says so would show the key."""
    key = os.environ.get(variable, "").strip() if variable else ""
    if key.isascii() and key.isprintable() and " " not in key:
        return key, ""
    return "", f"the key in {variable} holds a blank, a line break or a letter that no key has; paste it again"


def _refuse_secret_path(url: str, key: str, what: str) -> None:
    """Raises UserError for an address that holds a key: addresses stand in results, caches and other programs' logs."""
    path = urlsplit(url).path
    if _SECRET_SHAPES.search(path) or (len(key) >= 4 and key.casefold() in path.casefold()):
        raise UserError(f"{what} holds a key in its path; give the key by environment variable")


def _host(url: str, what: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        host, port_is_valid = "", False
    if not host or not port_is_valid or parts.scheme not in ("http", "https"):
        raise UserError(f"{what} is no http(s) URL; it looks like https://host/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UserError(f"{what} (host {host}) holds a user, password or query; give the key by environment variable")
    return host


def _name(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}".lower()


def describe(error: BaseException, place: Endpoint, limit: int = 300) -> str:
    """One scrubbed line about `error`: its class and message, cut to `limit` characters."""
    body: Any = getattr(error, "message", None) or str(error)
    return place.scrub(f"{type(error).__name__}: {body}".replace("\n", " "))[:limit]
