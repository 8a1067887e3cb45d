"""The SQL in a model's answer. Text in; one statement out, or the reason why there is none. Version 1.

The policy is the same for every model and looks at the text alone: it never tries a candidate and then another one.

1. Everything from the first end-of-turn token on is cut, special tokens are removed, and so are closed `<think>`
   blocks; an unclosed one means that no answer was reached. What stands between two closed blocks is dropped with
   them.
2. With fenced blocks the last one that holds SQL is the answer (a final answer comes after its drafts); an unclosed
   fence runs to the end. Without any, the answer starts at the first SELECT, WITH or VALUES that opens the text, a
   line, or follows a colon or a backtick; failing that at the first upper-case SELECT or WITH anywhere.
3. It ends at the first semicolon outside quotes and comments, at the closing backtick when it was opened by one, or
   at a blank line or line of prose after which no SQL goes on. Comments stay: SQLite ignores them.
4. A first statement is the answer even when prose or further queries run on behind it (base models continue the
   prompt); a later statement that would write (DROP, INSERT, ATTACH, ...) makes the whole answer `rejected`.
5. Text that begins with such a writing statement is `rejected`; text without SQL is `unparsed`; an answer longer than
   100,000 characters is `rejected`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

EXTRACTION_VERSION = "1"
MAX_ANSWER_CHARS = 100_000
_SCAN_CHARS = 300_000  # more than this of an answer is never looked at

_END_TOKENS = re.compile(
    r"<\|(?:im_end|endoftext|eot_id|end_of_text|end|eom_id|end_of_turn)\|>|</s>|<end_of_turn>|<eos>|<\uff5cend\u2581of\u2581sentence\uff5c>"
)
_SPECIAL_TOKENS = re.compile(
    r"<\|(?:im_start|start_header_id|end_header_id|begin_of_text|assistant|user|system)\|>|<s>|<bos>|<pad>"
    r"|<start_of_turn>|\[/?INST\]|</?answer>|</?sql>",
    re.IGNORECASE,
)
_THINK_MARK = re.compile(r"<(/?)(?:think|thinking|reasoning)>", re.IGNORECASE)
_FENCE = re.compile(r"```[ \t]*([A-Za-z0-9_+-]*)[^\n`]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_READS = r"(?:SELECT|WITH|VALUES)"
_WRITES = (
    r"(?:INSERT|UPDATE|DELETE|DROP|CREATE|ALTER|ATTACH|DETACH|PRAGMA|VACUUM|REPLACE|REINDEX|ANALYZE|BEGIN|COMMIT|ROLLBACK"
    r"|SAVEPOINT|RELEASE|TRUNCATE|GRANT|REVOKE|MERGE|COPY|CALL|EXEC|SET|USE|LOAD|EXPLAIN)"
)
_OPENING = rf"(?:\(\s*)*{_READS}\b"
_LINE_START = re.compile(rf"(?:^|\n|:|`)[ \t]*({_OPENING})(?=[\s(*'\"\[`/-]|\d)", re.IGNORECASE)
_ANYWHERE = re.compile(r"\b(SELECT|WITH)(?=[\s(*'\"\[`/-])")
_WRITE_START = re.compile(rf"\s*{_WRITES}\b", re.IGNORECASE)
_WRITE_SYNTAX = re.compile(
    r"\s*(?:INSERT\s+(?:OR\s+\w+\s+)?INTO|UPDATE\s+\S+\s+SET|DELETE\s+FROM|DROP\s+(?:TABLE|VIEW|INDEX|TRIGGER|DATABASE)"
    r"|CREATE\s+(?:TEMP|TEMPORARY|UNIQUE|VIRTUAL|TABLE|VIEW|INDEX|TRIGGER)|ALTER\s+TABLE|ATTACH\b|DETACH\b|PRAGMA\s+\w"
    r"|VACUUM\b|REPLACE\s+INTO|REINDEX\b|ANALYZE\b|BEGIN\b|COMMIT\b|ROLLBACK\b|SAVEPOINT\b|RELEASE\b|TRUNCATE\b"
    r"|GRANT\b|REVOKE\b|MERGE\s+INTO|COPY\s+\S+\s+(?:TO|FROM)|EXEC\b|LOAD\s+DATA|EXPLAIN\b)",
    re.IGNORECASE,
)
_CONTINUES = re.compile(
    r"\s*(?:FROM|WHERE|GROUP|ORDER|HAVING|LIMIT|OFFSET|UNION|INTERSECT|EXCEPT|JOIN|LEFT|RIGHT|INNER|OUTER|CROSS|FULL|NATURAL"
    r"|ON|USING|AND|OR|NOT|IN|AS|CASE|WHEN|THEN|ELSE|END|SELECT|WITH|VALUES|WINDOW|OVER|BETWEEN|LIKE|IS|EXISTS|DISTINCT"
    r"|ASC|DESC|BY|--|/\*|[(),*=<>+|])",
    re.IGNORECASE,
)
_PROSE_LINE = re.compile(
    r"\s*(?:(?:This|The|It|Note|Explanation|Here|In|I|We|You|Please|Let|Answer|Question|Query|Where:|Output|Result|User|"
    r"Assistant|Human|SQL)\b[:,]?\s|#|\*\*|- |\d+\. )"
)
Outcome = Literal["sql", "unparsed", "rejected"]


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """`sql` when `outcome` is "sql"; otherwise `reason` says why there is none and `sql` is what was looked at."""

    outcome: Outcome
    sql: str
    reason: str = ""


def extract_sql(text: str) -> Extraction:
    """The one statement of `text` by the policy above. Never raises."""
    clipped = text[:_SCAN_CHARS]
    end = _END_TOKENS.search(clipped, len(clipped) - len(clipped.lstrip()))
    if end is not None and end.start() > 0:
        clipped = clipped[: end.start()]
    marks = list(_THINK_MARK.finditer(clipped))
    if marks and not marks[-1].group(1):
        return Extraction(outcome="unparsed", sql="", reason="unfinished_thought")
    clipped = (clipped[: marks[0].start()] if marks and not marks[0].group(1) else "") + (
        clipped[marks[-1].end() :] if marks else clipped
    )
    clipped = _END_TOKENS.sub(" ", _SPECIAL_TOKENS.sub(" ", clipped))
    body, found = _fenced(clipped)
    if not body.strip():
        return Extraction(outcome="unparsed", sql="", reason="empty")
    start = 0 if _opens(body) else _start(body)
    if start is None or (not found and _WRITE_SYNTAX.match(body)):
        if _WRITE_SYNTAX.match(body) or (found and _WRITE_START.match(body)):
            return Extraction(outcome="rejected", sql=body.strip()[:1000], reason="not_a_query")
        return Extraction(outcome="unparsed", sql="", reason="no_sql")
    ticked = start > 0 and body[start - 1] == "`" and body[start - 2 : start - 1] != "`"
    statement, rest = _statement(body[start:], ticked=ticked)
    if len(statement) > MAX_ANSWER_CHARS or (not rest and len(text) > _SCAN_CHARS):
        return Extraction(outcome="rejected", sql=statement[:1000], reason="too_long")
    if any(_WRITE_SYNTAX.match(piece) for piece in _later_statements(rest)):
        return Extraction(outcome="rejected", sql=statement, reason="several_statements")
    return Extraction(outcome="sql", sql=statement)


def _fenced(text: str) -> tuple[str, bool]:
    """(the text to look in, whether it comes from a fence)."""
    if "```" not in text:
        return text, False
    blocks = [match.group(2) for match in _FENCE.finditer(text)]
    holding = [block for block in blocks if _opens(block) or _start(block) is not None or _WRITE_START.match(block)]
    return (holding[-1], True) if holding else (text.replace("```", " "), False)


def _opens(body: str) -> bool:
    """Whether `body` begins with a query, after white space and comments."""
    rest = body.lstrip()
    while rest.startswith(("--", "/*")):
        stop = rest.find("\n") if rest.startswith("--") else rest.find("*/")
        if stop < 0:
            return False
        rest = rest[stop + (1 if rest.startswith("--") else 2) :].lstrip()
    return re.match(rf"{_OPENING}(?=[\s(*'\"\[`/-]|\d|$)", rest[:200], re.IGNORECASE) is not None


def _start(body: str) -> int | None:
    for opening in _LINE_START.finditer(body):
        if opening.group(1).isupper() or _looks_like_sql(body, opening.start(1)):
            return opening.start(1)
    anywhere = _ANYWHERE.search(body)
    if anywhere is not None:
        return anywhere.start()
    lowered = re.search(r"\bselect\s[^.?!]{0,500}?\bfrom\s+\S", body, re.IGNORECASE)
    return lowered.start() if lowered else None


def _looks_like_sql(body: str, start: int) -> bool:
    """Whether a lower-case opening is a query and not English ("with this in mind", "select the ...")."""
    piece = body[start : start + 4000].lstrip("( \t\n")
    if piece[:4].lower() == "with":
        return (
            re.match(r"with\s+(?:recursive\s+)?[\w\"`\[\]]+\s*(?:\([^)]*\)\s*)?as\s", piece, re.IGNORECASE) is not None
        )
    if piece[:6].lower() == "values":
        return re.match(r"values\s*\(", piece, re.IGNORECASE) is not None
    return re.search(r"\bfrom\b", piece, re.IGNORECASE) is not None or re.match(r"select\s+[\d'(]", piece) is not None


def _statement(body: str, *, ticked: bool) -> tuple[str, str]:
    """(the first statement of `body`, what follows it). Quotes and comments are skipped in one pass."""
    position, size, last_bracket = 0, len(body), body.rfind("]")
    while position < size:
        character = body[position]
        if character == "`" and ticked:
            return body[:position].strip(), body[position + 1 :]
        if character in "'\"`" or (character == "[" and last_bracket > position):
            closing = body.find("]" if character == "[" else character, position + 1)
            if closing < 0:
                break
            position = closing + 1
        elif body.startswith("--", position):
            stop = body.find("\n", position)
            position = size if stop < 0 else stop
        elif body.startswith("/*", position):
            stop = body.find("*/", position + 2)
            position = size if stop < 0 else stop + 2
        elif character == ";":
            return body[:position].strip(), body[position + 1 :]
        elif character == "\n" and _prose_follows(body, position):
            return body[:position].strip(), body[position:]
        else:
            position += 1
    return body.strip(), ""


def _prose_follows(body: str, newline: int) -> bool:
    if body[max(0, newline - 80) : newline].rstrip()[-1:] in (",", "(", "=", "<", ">", "+", "|"):
        return False
    window = body[newline : newline + 200]
    if _CONTINUES.match(window):
        return False
    blank = re.match(r"\n[ \t]*\r?\n", window) is not None
    return blank or _PROSE_LINE.match(window) is not None


def _later_statements(rest: str) -> list[str]:
    """The pieces after further semicolons, each from its first character on (quotes are not respected: stricter)."""
    return [piece.lstrip()[:200] for piece in rest.split(";")[:200]]
