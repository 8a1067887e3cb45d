"""A data set's name -> its loader. In: a `DataRequest`. Out: a `Dataset`; each source's file states its splits and
licence."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping

from harness.core import DataRequest, Dataset, UserError

LOADERS: Mapping[str, tuple[str, str]] = {
    "builtin": ("tasks.sql.builtin", "load"),
    "builtin-hard": ("tasks.sql.builtin", "load"),
    "spider": ("tasks.sql.sources_spider", "load"),
    "create-context": ("tasks.sql.sources_context", "load"),
    "wikisql": ("tasks.sql.sources_wikisql", "load"),
    "bird": ("tasks.sql.sources_spider", "load_bird"),
    "jsonl": ("tasks.sql.sources_jsonl", "load"),
}


def load(request: DataRequest) -> Dataset:
    """The data set called `request.name`. Raises UserError with the nearest known name."""
    if request.name not in LOADERS:
        near = difflib.get_close_matches(request.name, LOADERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise UserError(f"unknown SQL data {request.name!r}{hint} Known data: {', '.join(LOADERS)}")
    module, function = LOADERS[request.name]
    loaded: Dataset = getattr(importlib.import_module(module), function)(request)
    return loaded
