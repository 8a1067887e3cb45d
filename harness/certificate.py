"""What a certificate is made of: checks, a hash for each part, and a summary. In: verdicts. Out: `Check`, `Certificate`, JSON.

"fail" means that numbers would be wrong, "warn" that they would say less than one thinks. A part's hash stands for what
was checked, so that two results can be compared: equal hashes, equal evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Part = Literal["task", "data", "prompts", "scorers", "format", "engine"]
Status = Literal["pass", "warn", "fail"]
PARTS: tuple[Part, ...] = ("task", "data", "prompts", "scorers", "format", "engine")
SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was tested. `detail` is a sentence with its counts, `examples` what to look at first."""

    part: Part
    name: str
    status: Status
    detail: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """All checks of an evaluation, and a hash for each part of what was checked."""

    checks: tuple[Check, ...]
    hashes: Mapping[str, str]

    @property
    def passed(self) -> bool:
        """Whether no check failed; warnings pass."""
        return all(check.status != "fail" for check in self.checks)

    @property
    def summary(self) -> str:
        """One line: how many checks passed, and the names of the others."""
        named = {s: [check.name for check in self.checks if check.status == s] for s in ("pass", "warn", "fail")}
        rest = [f"{status}: {', '.join(named[status])}" for status in ("fail", "warn") if named[status]]
        return "; ".join([f"{len(named['pass'])} of {len(self.checks)} checks passed", *rest])

    def to_json(self) -> dict[str, Any]:
        """The body of `certificate.json`."""
        parts = [{**asdict(check), "examples": list(check.examples)} for check in self.checks]
        return {"parts": parts, "hashes": dict(self.hashes), "summary": self.summary}

    def with_checks(self, part: Part, checks: Sequence[Check]) -> Certificate:
        """This certificate with the checks of one part replaced."""
        kept = [check for check in self.checks if check.part != part]
        return Certificate(checks=(*kept, *checks), hashes=self.hashes)


def certificate_from_json(body: Mapping[str, Any]) -> Certificate:
    """What `Certificate.to_json` wrote."""
    checks = tuple(Check(**{**row, "examples": tuple(row["examples"])}) for row in body["parts"])
    return Certificate(checks=checks, hashes=dict(body["hashes"]))


def verdict(part: Part, name: str, problems: Sequence[str], tested: str) -> Check:
    """A check that passes when there are no problems."""
    detail = f"{tested}: {len(problems)} problems"
    status: Status = "fail" if problems else "pass"
    return Check(part=part, name=name, status=status, detail=detail, examples=(*problems[:SHOWN],))
