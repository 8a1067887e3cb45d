"""Hosted models in a sweep: what is asked of them, and the rows they answer (`MODEL=openai:gpt-4o`). In: a sweep's task,
items and run specs. Out: completions.jsonl and sampling.json of those runs, like any engine's, and hosted.json: the bill.

A hosted row gets the messages of every other row, is scored by the same scorers, trains nothing and has no weights to
prove. A call that failed is a completion with finish "error": unscored with its reason, and asked again by the next
invocation. Replies are in the judges' call cache before they are used, so a killed sweep pays for its calls in flight.
"""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.core import Dataset, Split, Task, UserError, hosted_name
from harness.store import Run, Sweep, append_lines, label, read_json, write_json
from harness.tokens import messages, shots_of

if TYPE_CHECKING:
    from harness.prepare import Prepared
    from harness.registry import judges

When = Literal["undecided", "wrong", "all"]
WHENS: tuple[When, ...] = ("undecided", "wrong", "all")
DEFAULT_BUDGET_USD = 5.0
DEFAULT_REPLY_TOKENS = 400
Tell = Callable[[int, int, float], None]  # calls answered, calls in all, dollars spent in this step
TALLIES = ("num_cached", "num_failed", "num_retries")


@dataclass(frozen=True, kw_only=True)
class HostedRequest:
    """What is asked of hosted models, and for how much. `judges` empty: no judge; several are a panel that votes.

    `budget_usd` None is no budget. It covers everything of one sweep: the judge and the rows of hosted models.
    `prices` maps a model to its (input, output) dollars per million tokens. `reply_tokens` is how long a verdict with its
    reason may be; `reason_chars` None leaves the reason's length to the model.
    """

    judges: tuple[str, ...] = ()
    when: When = "all"
    budget_usd: float | None = DEFAULT_BUDGET_USD
    votes: int = 1
    rubric: str = ""
    reference_free: bool = False
    batch: bool = False
    reply_tokens: int = DEFAULT_REPLY_TOKENS
    reason_chars: int | None = None
    prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.when not in WHENS:
            raise UserError(f"--judge-when is one of {', '.join(WHENS)}, got {self.when!r}")
        if self.votes < 1:
            raise UserError(f"--judge-votes is at least 1, got {self.votes}")
        if self.reply_tokens < 1 or (self.reason_chars is not None and self.reason_chars < 1):
            raise UserError("--judge-tokens and --judge-reason-chars are at least 1")
        if self.budget_usd is not None and not self.budget_usd >= 0:
            raise UserError(f"--judge-budget is dollars, 0 or more, got {self.budget_usd}; --no-budget sets no limit")


def prices_from_text(text: str | None) -> dict[str, tuple[float, float]]:
    """`my-model=0.50/1.50,other=1/2` as {model: (input, output)}. Raises UserError on anything else."""
    found: dict[str, tuple[float, float]] = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        model, _, amounts = part.strip().rpartition("=")
        try:
            dollars = [float(amount) for amount in amounts.split("/")]
        except ValueError:
            dollars = []
        if not model or len(dollars) != 2 or not all(0 <= amount < 1e6 for amount in dollars):
            raise UserError(
                f"--judge-price {part.strip()!r} is not MODEL=INPUT/OUTPUT, in dollars per million tokens; "
                "an example: my-model=0.50/1.50"
            )
        found[model] = (dollars[0], dollars[1])
    return found


def judge_config(hosted: HostedRequest, task: str, account: str) -> judges.JudgeConfig:
    """How the judge of `hosted` is asked about answers to `task`."""
    from harness.registry import judges

    first, *panel = hosted.judges
    return judges.JudgeConfig(
        model=first,
        panel=tuple(panel),
        when=hosted.when,
        votes=hosted.votes,
        rubric=hosted.rubric or task,
        reference_free=hosted.reference_free,
        max_tokens=hosted.reply_tokens,
        reason_max_chars=hosted.reason_chars,
        batch=hosted.batch,
        budget_usd=hosted.budget_usd,
        prices=_prices(hosted),
        account=account,
    )


def answer_config(hosted: HostedRequest, model: str, account: str) -> judges.JudgeConfig:
    """How the hosted model `openai:NAME` is asked for answers."""
    from harness.registry import judges

    return judges.JudgeConfig(
        model=str(hosted_name(model)),
        budget_usd=hosted.budget_usd,
        prices=_prices(hosted),
        batch=hosted.batch,
        account=account,
    )


def endpoint_name() -> str:
    """The server that hosted models are asked at, as it stands in results: host and path, nothing secret."""
    from harness.registry import judges

    return judges.endpoint_name(judges.Connection())


def refuse_without_key() -> None:
    """Raises UserError when no call could be sent: before anything is trained, not after."""
    from harness.registry import judges

    if problem := judges.key_problem(judges.Connection()):
        raise UserError(problem)


@contextlib.contextmanager
def call_log(path: Path | None = None) -> Iterator[None]:
    """Keep what the judges' machinery says (its limits, retries, rate limits, changed snapshots) in the file `path`; without
    one, in hosted.log beside the recorded calls."""
    from harness.registry import judges

    logger, path = logging.getLogger("judges"), path or judges.default_cache_dir() / "hosted.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()


class Bill:
    """hosted.json of one sweep: its account, and what each role ("judge", "answers") was asked and cost.

    The account is written before the first call, so that what a killed invocation spent counts against the budget.
    """

    def __init__(self, sweep: Sweep, hosted: HostedRequest) -> None:
        self._path = sweep.folder / "hosted.json"
        known = read_json(self._path) or {"account": uuid.uuid4().hex, "roles": {}}
        self._body: dict[str, Any] = {**known, "budget_usd": hosted.budget_usd, "endpoint": endpoint_name()}
        write_json(self._path, self._body)

    def account(self, role: str) -> str:
        """The account that `role` spends from; all roles of a sweep share its budget."""
        return f"{self._body['account']}/{role}"

    def note(self, role: str, spend: judges.Spend, **more: Any) -> None:
        """Add one step's calls to the role's; dollars and paid calls are those of all invocations already."""
        known = self._body["roles"].get(role, {})
        body = {
            **{name: known.get(name, 0) + getattr(spend, name) for name in TALLIES},
            "num_paid": spend.num_paid,
            "billed_usd": spend.earlier_usd + spend.cost_usd,
            "at_risk_usd": spend.at_risk_usd,
            "cost_known": spend.cost_known,
            "prices_date": spend.prices_date,
            "snapshots": list(dict.fromkeys([*known.get("snapshots", []), *spend.snapshots])),
            "cache_lines_dropped": spend.cache_lines_dropped,
            **more,
        }
        self._body["roles"][role] = body
        write_json(self._path, self._body)


def answer(prepared: Prepared, hosted: HostedRequest, bill: Bill, run: Run, split: Split, tell: Tell) -> None:
    """Ask a hosted model for its missing answers to one split. Raises UserError when no call can succeed."""
    from harness.registry import judges

    run.forget_failed_answers(split)
    known = {completion.example_id for completion in run.completions(split)}
    prompts = [
        prompt for prompt in baseline_prompts(prepared.task, prepared.dataset, run, split)
        if prompt.example_id not in known
    ]  # fmt: skip
    if not prompts:
        return
    config = answer_config(hosted, run.spec.model, bill.account("answers"))
    try:
        result = judges.baseline(prompts, config, max_new_tokens=prepared.task.max_new_tokens, progress=tell)
    except judges.BatchError as error:
        raise UserError(f"{error}; --retry-failed goes on with the batch") from None
    append_lines(run.folder / "completions.jsonl", [asdict(completion) for completion in result.completions])
    bill.note("answers", result.spend)
    _note_answers(run, result)


def baseline_prompts(task: Task, dataset: Dataset, run: Run, split: Split) -> list[judges.BaselinePrompt]:
    """The run's prompts for one split: the messages that every other row of its prompt style and shots gets."""
    from harness.registry import judges

    spec = run.spec
    shots = shots_of(dataset, spec)
    return [
        judges.BaselinePrompt(example_id=example.id, split=split, messages=messages(task, spec, example, shots))
        for example in dataset.usable(split)
    ]


def prompt_text(turns: Sequence[Any]) -> str:
    """The messages of a prompt as text for the report: a hosted model's own rendering is not known."""
    return "\n\n".join(f"[{turn.role}]\n{turn.content}" for turn in turns)


def spend_estimates(prepared: Prepared, hosted: HostedRequest, sweep: Sweep) -> Iterator[str]:
    """What the rows of hosted models would ask and cost, a sentence each; nothing is sent. Test answers are counted for
    every row, though only the best goes there."""
    from harness.registry import judges

    for spec in prepared.specs:
        if hosted_name(spec.model) is None:
            continue
        shots, estimates = shots_of(prepared.dataset, spec), []
        for split in ("validation", "test"):
            prompts = [
                judges.BaselinePrompt(
                    example_id=example.id, split=split, messages=messages(prepared.task, spec, example, shots)
                )
                for example in prepared.dataset.usable(split)
            ]
            config = answer_config(hosted, spec.model, _known_account(sweep, "answers"))
            estimates.append(judges.baseline_estimate(prompts, config, max_new_tokens=prepared.task.max_new_tokens))
        yield f"{label(spec)}: {estimate_words(estimates, hosted)}"


def estimate_words(estimates: Sequence[judges.Estimate], hosted: HostedRequest) -> str:
    """Calls and dollars of several estimates in words, beside the budget."""
    num_calls, num_cached = sum(e.num_calls for e in estimates), sum(e.num_cached for e in estimates)
    likely = [e.likely_usd for e in estimates if e.likely_usd is not None]
    most = [e.most_usd for e in estimates if e.most_usd is not None]
    cost = "cost unknown: no price is known for this model"
    if len(likely) == len(most) == len(estimates):
        cost = f"about ${sum(likely):.2f}, at most ${sum(most):.2f}, by prices of {estimates[0].prices_date}"
    budget = "no budget" if hosted.budget_usd is None else f"budget ${hosted.budget_usd:.2f}"
    return f"{num_calls:,} calls, {num_cached:,} more from the cache; {cost}; {budget}"


def spend_words(spend: judges.Spend) -> str:
    """What was asked and paid, in words."""
    cost = f"${spend.cost_usd:.4f}" if spend.cost_known else "cost unknown: no price for this model"
    earlier = f", ${spend.earlier_usd:.4f} before" if spend.earlier_usd else ""
    budget = "no budget" if spend.budget_usd is None else f"budget ${spend.budget_usd:.2f}"
    return (
        f"{spend.num_calls:,} calls paid, {spend.num_cached:,} from the cache, {spend.num_failed:,} failed, "
        f"{spend.num_retries:,} retries; {cost}{earlier} ({budget}; prices of {spend.prices_date})"
    )


def _known_account(sweep: Sweep, role: str) -> str:
    known = sweep.hosted()
    return f"{known['account']}/{role}" if known else ""


def _prices(hosted: HostedRequest) -> dict[str, judges.Price]:
    from harness.registry import judges

    return {model: judges.Price(input=price[0], output=price[1]) for model, price in hosted.prices.items()}


def _note_answers(run: Run, result: judges.BaselineResult) -> None:
    """sampling.json of a hosted run. Its speed is the provider's and the network's, so none is given."""
    path = run.folder / "sampling.json"
    known = read_json(path) or {"tokens": 0, "cost_usd": 0.0, "snapshots": []}
    cost = known["cost_usd"] + result.spend.cost_usd
    snapshots = list(dict.fromkeys([*known["snapshots"], *result.snapshots]))
    asked = f"{endpoint_name()}, snapshot {', '.join(snapshots) or 'unknown: no reply'}"
    money = f"${cost:.4f}" if result.spend.cost_known else "cost unknown"
    body = {
        "engine": "hosted",
        "route": "hosted",
        "seconds": None,
        "tokens": known["tokens"] + sum(completion.num_tokens for completion in result.completions),
        "tokens_per_second": None,
        "cost_usd": cost,
        "snapshots": snapshots,
        "notes": [f"{asked}, {money}"],
    }
    write_json(path, body)
