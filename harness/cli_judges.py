"""The options of a judge, shared by every verb that takes one, and the verbs about judges themselves. Thin, like cli.py.

`with_judge` puts the options into a verb's signature in place of its parameter `hosted`, which gets a `HostedRequest`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_type_hints

import typer

Option = tuple[Any, Any]  # (annotation, default)
OPTIONS: dict[str, Option] = {
    "judge": (
        Annotated[str | None, typer.Option(help="a hosted model as one more scorer, such as gpt-4o; several vote")],
        None,
    ),
    "judge_when": (Annotated[str, typer.Option(help="answers it is asked about: undecided, wrong or all")], "all"),
    "judge_budget": (
        Annotated[float, typer.Option(help="dollars for all hosted models; stops before it is passed")],
        5.0,
    ),
    "no_budget": (
        Annotated[bool, typer.Option("--no-budget", help="no limit; also for a model whose price is not known")],
        False,
    ),
    "judge_price": (
        Annotated[str | None, typer.Option(help="MODEL=INPUT/OUTPUT, dollars per million tokens")],
        None,
    ),
    "judge_votes": (Annotated[int, typer.Option(help="times each judge is asked")], 1),
    "judge_rubric": (Annotated[str, typer.Option(help="your own rubric, a file ending in .md")], ""),
    "judge_blind": (Annotated[bool, typer.Option("--judge-blind", help="judge without seeing the reference")], False),
    "judge_batch": (
        Annotated[bool, typer.Option("--judge-batch", help="the Batch API: half the price, within a day")],
        False,
    ),
}


def with_judge(verb: Callable[..., None]) -> Callable[..., None]:
    """`verb` with the options of a judge on its command line."""
    hints = get_type_hints(verb, include_extras=True)
    own = [
        parameter.replace(annotation=hints[parameter.name])
        for parameter in inspect.signature(verb).parameters.values()
        if parameter.name != "hosted"
    ]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in OPTIONS.items()
    ]

    def wrapped(**options: Any) -> None:
        hosted = hosted_request({name: options.pop(name, OPTIONS[name][1]) for name in OPTIONS})
        verb(**options, hosted=hosted)

    wrapped.__name__, wrapped.__doc__ = verb.__name__, verb.__doc__
    wrapped.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *added]}
    return wrapped


def hosted_request(options: Mapping[str, Any]) -> Any:
    """The `HostedRequest` of the options. Raises UserError on one that makes no sense."""
    from harness.hosted import HostedRequest, prices_from_text

    return HostedRequest(
        judges=tuple(dict.fromkeys(name.strip() for name in (options["judge"] or "").split(",") if name.strip())),
        when=options["judge_when"],
        budget_usd=None if options["no_budget"] else options["judge_budget"],
        votes=options["judge_votes"],
        rubric=options["judge_rubric"],
        reference_free=options["judge_blind"],
        batch=options["judge_batch"],
        prices=prices_from_text(options["judge_price"]),
    )
