"""A data set's name -> its loader. In: a `DataRequest`. Out: a `Dataset`; each source's file states its splits and
licence."""

from __future__ import annotations

import difflib
import importlib

from harness.core import DataRequest, Dataset, UserError

LOADERS = {"builtin": "tasks.sql.builtin"}


def load(request: DataRequest) -> Dataset:
    """The data set called `request.name`. Raises UserError with the nearest known name."""
    module = LOADERS.get(request.name)
    if module is None:
        near = difflib.get_close_matches(request.name, LOADERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(f"unknown SQL data {request.name!r}{hint} Known data: {', '.join(LOADERS)}")
    loaded: Dataset = importlib.import_module(module).load(request)
    return loaded
