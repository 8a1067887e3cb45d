"""Hand-made pairs: for each gold, answers that are wrong and answers that mean the same. Text files in, pairs out.

The files in `pairs/` were written by hand and not by the project's mutator. Their lines: `%` schema, `+` rows, `?` a
gold, `!` name | an answer to it that is wrong, `=` name | one that means the same, `#` a comment. A `%` behind a pair begins
another schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "pairs"


@dataclass(frozen=True, kw_only=True)
class HandPair:
    """One gold and one answer; `equal` says what the verdict must be."""

    name: str
    gold: str
    prediction: str
    equal: bool
    schema: str
    data: str

    def row(self, *, with_data: bool) -> dict[str, str]:
        """The line of `harness score sql`."""
        row = {"id": self.name, "gold": self.gold, "prediction": self.prediction, "schema": self.schema}
        return {**row, "data": self.data} if with_data and self.data else row


def hand_pairs() -> list[HandPair]:
    """All pairs of all files, in the order they are written."""
    return [pair for path in sorted(FOLDER.glob("*.txt")) for pair in _pairs_of(path)]


def _pairs_of(path: Path) -> list[HandPair]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip() and line[0] != "#"]
    pairs: list[HandPair] = []
    gold = schema = data = ""
    for line in lines:
        if line[0] == "%":
            schema, data, gold = (line[1:] if gold else schema + line[1:]), ("" if gold else data), ""
        elif line[0] == "+":
            data += line[1:]
        elif line[0] == "?":
            gold = line[1:].strip()
        elif line[0] in "!=":
            name, _, prediction = line[1:].partition(" | ")
            pairs.append(
                HandPair(
                    name=f"{path.stem}: {gold[:60]}: {name.strip()}",
                    gold=gold,
                    prediction=prediction.strip(),
                    equal=line[0] == "=",
                    schema=schema.strip(),
                    data=data.strip(),
                )
            )
    return pairs
