"""The words by which a reply commits to an answer, hedges, denies, checks or ends: what `extract` looks for. Patterns only."""

from __future__ import annotations

import re

THINK_END = re.compile(r"</(?:think|thinking|thought|reasoning|scratchpad)>|◁/think▷", re.I)
THINK_START = re.compile(r"<(?:think|thinking|thought|reasoning|scratchpad)>|◁think▷", re.I)
STOP = re.compile(r"<\|(?:im_end|im_start|endoftext|eot_id|end|user|assistant|end_of_text)\|>|</s>|\[/?INST\]")
NEW_TURN = re.compile(
    r"^[ \t#*>]*(?:(?:next|new|another|second|follow-?up|bonus)\s+)?(?:question|problem|exercise|example"
    r"|q|human|user|instruction|input|follow-?up|bonus|let'?s\s+think\s+step\s+by\s+step)"
    r"(?:[ \t]*\d+)?[ \t]*[:.)\n*]",
    re.I | re.M,
)
ASKING = re.compile(
    r"(?:^|(?<=[.!?\n]))[ \t]*(?:now|next|then|bonus|also|but)?[,: \t]*(?:what|how|when|where|which|who|find|"
    r"compute|calculate|evaluate|suppose|solve|let's (?:try|do|solve) another)\b[^.?!\n]{6,300}[?.]",
    re.I,
)
BOX = re.compile(r"\\(?:boxed|fbox)\b\s*")
HASH = re.compile(r"#{4,}[ \t]*((?:(?!####)[^\n])*)")
# A line that is one bold value: "**24**", and no heading such as "**2. Add them**".
BOLD_LINE = re.compile(
    r"^[ \t>]*\*\*[ \t]*(\\?\$?-?\d[\d.,/]*%?(?:[ \t]+[A-Za-z]+)?\$?|\$[^$*\n]{1,200}\$)[ \t]*\*\*\.?[ \t]*$", re.M
)
TAG = re.compile(r"<answer>(.{0,2000}?)</answer>", re.I | re.S)
PHRASE = re.compile(
    r"(?P<if>\b(?:if|suppose|assum\w+|whether)\s+)?"
    r"(?<![A-Za-z])(?:(?:the|my|our|your|this|so|final|correct|required|total|numerical|desired|new)[\s_]+){0,4}"
    r"(?:answer|result(?!s?\s+in\b)|solution|option|choice|ans)s?[\"']?\**(?:\s+(?:to|for|of|in)\s+[^.:=\n]{1,80}?)?"
    r"(?:\s*(?:is|are|equals|was|becomes|comes\s+to|should\s+be|must\s+be|will\s+be|would\s+be|=|≈)"
    r"(?:\s+therefore|\s+thus|\s+then|\s+simply|\s+just|\s+clearly)?\s*(?::|\.\.\.|…)?|\s*:|\s*\**:\**"
    r"|(?<=inal\sanswer)\s+(?=[-$\d\\(])|(?<=nswer)\s+[-–—](?=\s)|(?<=\bans)\.)\**"
    r"(?=[ \t]*(?P<body>[^\n]{0,600}))"
    r"|^[ \t*#_>]*(?:the[ \t]+)?(?:final[ \t]+)?(?:answer|ans|result)\**[ \t]*[:=]?[ \t*]*\n+(?P<next>[^\n]{1,600})",
    re.I | re.M,
)
SUBJECT = re.compile(
    r"(?:^|(?<=[.!?]\s)|(?<=\n))[ \t]*(?:(?:so|hence|thus|therefore),?\s+)?"
    r"(?P<said>\$[^$\n]{1,200}\$|\\\([^\n]{1,200}?\\\)|\$?-?\d[\d.,/]{0,40}%?|\(?[A-F]\)?)"
    r"(?:\s+[a-z]{3,20}){0,2}\s+is\s+(?:the|our|my)\s+(?:(?:final|correct|right|required|desired)\s+){0,2}"
    r"(?:answer|result|solution|choice|option)\b(?![^.!?\n]{0,200}\?)",
    re.I,
)
# Before "the answer is": someone else says so.
REPORTED = re.compile(
    r"\b(?:(?:was|were|been)\s+told|(?:might|would|could|may|tempting\s+to)\s+(?:think|say|guess|expect|believe)"
    r"|some(?:\s+people)?\s+(?:say|think|claim|believe))\s+(?:that\s+)?$",
    re.I,
)
# Before "the answer is": it is denied.
DENIED = re.compile(
    r"\b(?:impossible|unlikely|false|doubt\w*|no\s+way|not\s+(?:true|possible|likely|the\s+case|clear|certain)|(?:cannot|can't)\s+be"
    r"|(?:don't|do\s+not)\s+(?:think|believe))\s+(?:that\s+)?$",
    re.I,
)
# Two answers, each under its condition.
CASES = re.compile(r"\botherwise\b|\bif\b[^\n]{1,120}?(?:\b(?:and|or|but)\b|;)[^\n]{1,60}?\bif\b", re.I)
# A hedge stands before the value it weakens ("at least 5"), or behind it ("5 or more"); "5 more than Tom" is none.
HEDGE = re.compile(
    r"(?<!\\)\b(?:at\s+(?:the\s+)?(?:least|most)|no\s+(?:more|less|fewer)\s+than|"
    r"(?:more|less|fewer|greater|smaller|larger|higher|lower)\s+than|(?!rath|oth)[a-z]{3,12}er\s+than(?=\s*[$\\(]{0,3}(?:-?\d|$))|"
    r"(?<!least )(?<!greatest )(?:lower|upper)\s+bound|"
    r"between|somewhere|(?:ranges?|ranging)\s+from|anywhere|up\s+to|either|maybe|perhaps|possibly|might|not\s+sure|"
    r"unsure|unknown|"
    r"over|under|above|below|(?:minimum|maximum)\s+of|could\s+be|can\s+be|may\s+be|can't\s+tell|cannot\s+tell|"
    r"(?:don'?t|do\s+not)\s+know|one\s+of|not\s+exceed\w*|exceeds?|upwards\s+of|as\s+(?:many|much|few|little)\s+as)\b",
    re.I,
)
HEDGE_BEHIND = re.compile(
    r"\b(?:or\s+(?:so|more|less|fewer|higher|lower|above|below|maybe|perhaps|possibly|something)|"
    r"at\s+(?:least|most)|maybe|perhaps|possibly|"
    r"i\s+guess|not\s+sure|but\s+(?:it\s+)?(?:could|might|may)|and\s+up)\b",
    re.I,
)
NEGATION = re.compile(
    r"^\W*(?:(?:definitely|certainly|clearly|surely|obviously|actually|simply|just)\s+)?"
    r"(?:not|isn'?t|never|cannot\s+be|can'?t\s+be|anything\s+but)\b",
    re.I,
)
TO_RANGE = re.compile(r"^\W*(?:from\s+)?\$?\d[\d,.]*\s*(?:to|–|—|through)\s*\$?\d", re.I)
CHECK = re.compile(
    r"^[\s*#>-]*(?:\(?\s*(?:double[- ]?)?check|verif|to\s+(?:check|verify|double)|"
    r"let(?:'s| us| me)\s+(?:check|verify|double)|"
    r"we\s+can\s+(?:check|verify)|"
    r"note\b|remark|i\s+hope|hope\s+this|proof\b|sanity|this\s+(?:makes\s+sense|is\s+because|can\s+be\s+(?:checked|verified))|"
    r"indeed\b|(?:substitut|plugg)ing\b[^:=\n]{0,40}:|(?:explanation|reasoning|justification|reason)\s*\**\s*:|here(?:'s|\s+is)\s+why|as\s+a\s+check)",
    re.I,
)
# At the start of a clause: "he had to wait 5 minutes" takes nothing back.
RETRACTION = re.compile(
    r"(?:^|[.!?…—–;,\n-])\W*(?:(?:oh|no|hmm|but)\b\W*)?(?:wait|actually|hold\s+on|scratch\s+that|correction|oops|sorry)\b"
    r"|\b(?:that(?:'s|\s+is|\s+was)\s+(?:wrong|incorrect|not\s+right|not\s+correct)|i\s+made\s+(?:a|an)\s+(?:mistake|error)|"
    r"let\s+me\s+(?:recompute|redo|recalculate|correct))\b",
    re.I,
)
# Before "the answer is": a check, or the answer of another part.
CHECKING = re.compile(
    r"(?:(?:check|verif|confirm)\w*\s+(?:that\s+)?(?:\w+\s+)?|\b(?:first|second|third|fourth|next|previous|other|another|intermediate)\s+)$",
    re.I,
)
SENTENCE_END = re.compile(r"(?<=[.!?])(?:\s+(?=[A-Z\"'$\\(*#])|$)|\n+")
CLAUSE = re.compile(
    r"(?:(?<!\\)[.!?](?=\s|$|\*|\")|,\s+(?=(?:because|since|as|so|which|where|and\s+(?:so|thus|therefore|the|we|she|he|it|they)|but|not|when|if|then|making|meaning|giving|i\.e|that\s+is|namely|in\s+other\s+words)\b)"
    r"|\s[-–—]\s+(?=(?!sin|cos|tan|log|ln|sqrt|exp|pi)[a-z]{2,}\s)|\s\((?=(?:that|which|i\.e|since|because|see|check|from)\b)|(?<=\d):\s+(?=[a-z]|\d[^,\n]{0,30}\s[a-z]{2,})|;\s+(?=[A-Za-z]{2})|\s+(?:and|but)\s+(?=not\b)|\s+(?=because\b|since\b|which\b|when\s|where\s|so\s+that\b|as\s+(?:required|desired|shown|we)|after\s|per\s+the\b|if\s)|\\\]|\s#{2,})",
    re.I,
)
VALUE = re.compile(
    r"(?<![\w.])-?\s?[$€£]?\s?-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+|(?<=\d))(?:_\{?\d{1,2}\}?|:\d\d(?!\d)(?:\s*[ap]\.?m\b\.?)?|\s+\d+/\d+|\s*/\s*\d+(?:\.\d+)?)?%?",
    re.I,
)
INSTEAD = re.compile(
    r"(?:(?<!anything )\bbut(?:\s+rather)?|\brather|;\s*it(?:'s|\s+is)|,\s*it(?:'s|\s+is))\s+([^\n.;]{1,100})", re.I
)
IS_THE_ANSWER = re.compile(r"\s+is\s+(?:the|my|our)\s+(?:\w+\s+)?answer$", re.I)
# A number that words follow: "= 15 liters out of 24".
LEADING_VALUE = re.compile(
    r"\s*\$?\s*(-?\s?\$?(?:\d{1,3}(?:[, ]\d{3})+(?!\d)|\d+)?(?:\.\d+|(?<=\d))%?)"
    r"(?=\.?\s+[A-Za-z][A-Za-z&'-]|\.?\s*$|\s+a\s|,\s+[A-Za-z]{2}|\s+\d+-[A-Za-z]|\s?/\s?[A-Za-z]|[a-z]{1,3}\b)"
)
CALCULATOR = re.compile(r"<<[^<>\n]{0,200}>>")
# A closing dollar follows no white space and precedes no digit: $5 and $10 is money, $x + 5$ is a formula.
INLINE = re.compile(
    r"(?<!\\)\$(?!\s)((?:\\.|[^$\\\n]){1,400}?)(?<!\s)\$(?!\d)|\\\(([^\n]{1,400}?)\\\)|\\\[(.{1,400}?)\\\]", re.S
)
# Words that lead in to an answer and are no part of it.
LEAD_IN = re.compile(
    r"^(?:(?:so|hence|thus|therefore|then|finally)\b,?\s+)*"
    r"(?:(?:is|are|equals?|be|:|=|approximately|about|roughly|exactly|simply|just|it(?:'s|\s+is)|th(?:is|at)\s+is)\s+)*"
    r"(?:(?:\\text\s*\{\s*)?(?:(?:the|my|our)\s+)?(?:(?:final|correct)\s+)?answer(?:\s+is\b\s*:?|\s*:)[\s}]*)?",
    re.I,
)
# What follows a value by the way: "12 (3 each)", "72 cans in 3 boxes"; not the product "2 (x + 1)", nor "5 (base 8)".
ASIDE = re.compile(
    r"^([\s*:]*-?\$?-?\d[\d.,]*(?:/\d+)?%?(?:\s+[A-Za-z]+){0,3})\s+[(\[](?!\s*(?:(?:(?:in\s+)?(?:base|mod)|or|to|and|sin|cos|tan|log|ln"
    r"|sqrt|pi)\b|\\|\d*[a-z](?![A-Za-z.]|\s+[a-z]{2})))"
    r"|^([\s*:]*-?\$?-?\d[\d.,]*%?(?:\s+[A-Za-z]+){1,3}?)\s+(?:in|for|from|after|at|on|with|out\s+of)\s+(?=[^\n=\d]{0,100}\d[^\n=]{0,200}$)",
    re.I,
)
EMPHASIS = re.compile(r"(?<![\w*)}])\*\*(?=\S)|(?<=[^\s*])\*\*(?![\w*({\\])")  # **18**, and not x**2
COPULA = re.compile(
    r"^(?P<subject>[A-Za-z' ,\t-]{1,200})\b(?:is|are|was|were|will\s+be|must\s+be)\s+"
    r"(?P<said>(?!not\b)[A-Za-z][A-Za-z '-]{0,60})[.!]?\s*$"
)
CHECKED = re.compile(
    r"\bwhich\s+(?:is\s+(?:right|correct|true)|checks\s+out|matches|works|agrees)\W*$|[✓✔]\W*$"
    r"|^\s*(?:substitut|plug)[^\n]{1,200}\bas\s+(?:required|expected|needed|desired|claimed)\W*$",
    re.I,
)
# A sentence in brackets is told by the way; one that says what is asked for says no value.
DISPLAY = re.compile(r"\$\$([^$]{1,600})\$\$|\\\[((?:(?!\\\]).){1,600})\\\]", re.S)
ASIDE_SENTENCE = re.compile(r"^\W*\([A-Z][^\n]*\.\)\s*$")
TASK_SENTENCE = re.compile(
    r"^\W*(?:(?:now|so|first|here|next|then),?\s+)?(?:we|i|you)(?:'re|\s+are)?\s+(?:\w+\s+)?(?:need|want|have|asked|trying|going)\s+"
    r"to\s+(?:find|determine|calculate|compute|figure|know|count|solve|evaluate)\b",
    re.I,
)
RESULT = re.compile(r"[=:]|\b(?:gets?|gives?|is|are|equals?|makes?|so)\b", re.I)
# A last sentence that ends in one of these words, without a full stop, was cut off.
BROKEN_OFF = re.compile(
    r"(?:\b(?:an|and|are|at|be|because|but|by|for|from|hence|if|into|is|let|me|minus|of|or|our|plus|since|than|that|the|then"
    r"|therefore|thus|to|we|where|which|will|with)|,\s+so)\s*$"
)
# ---- numbers that a sentence tells by the way
FORMULA_ASIDE = re.compile(
    r"\b(?:for|at|where|when|whenever|if|since|because|provided|assuming|unless|given)\s+(?:that\s+|all\s+|every\s+|any\s+)?$"
    r"|\((?:we|since|because|not|as|where|discard|reject|ignor)[^()]{0,30}$",
    re.I,
)
LIST_TAIL = re.compile(
    r"(?:,\s+\$?\d[\d.,]*\s+(?!and\b|or\b)[a-z]{2,}[^,()\n]{0,80}\band\s[^,()\n]{0,80}\d[^,()\n]{0,80}"
    r"|\s\((?!\s*(?:in\s+)?base)[^()\n]{0,200}\))[.!]?\s*$",
    re.I,
)
GIVEN_REASON = re.compile(r"(?<=\S)(?:,?\s+(?:because|since)|,\s+having)\s", re.I)
LEADING_REASON = re.compile(r"^\W*(?:since|because|as|given\s+that)\s[^,\n]{1,200},\s+", re.I)
CONTRAST = re.compile(
    r",?\s+(?:rather\s+than|instead\s+of|as\s+opposed\s+to)\b|,\s+(?:and\s+)?not\b"
    r"|\s+(?:occurs?|(?:is\s+)?(?:attained|achieved|reached))\s+(?:at|when|for)\b|;\s+(?:\w+\s+){0,2}check\b",
    re.I,
)
# "There are 9 such integers: 1, 2, 4, ..."
COUNTED = re.compile(r"\bthere\s+(?:are|is|were)\s+(?:[a-z]+\s+){0,3}?\$?(\d{1,9})\$?\s[^:$\n]{1,80}:\s", re.I)
CONCLUSION = re.compile(r"[,;]\s+(?:and\s+)?(?:so|thus|therefore|hence)\b(?!\s+that\b),?", re.I)
SOLVED_FOR = re.compile(r"(-?\$?[\d.,]*\d)\s*=\s*[A-Za-z]\W*$")  # "7 = x"
PREPOSITION = re.compile(
    r"\b(?:over|after|before|within|during|every|per|than|(?<!result )(?<!results )(?<!resulting )in|(?<=boxes )of)\s+"
    r"(?:the\s+|these\s+|those\s+|an?\s+)?\$?$",
    re.I,
)
RANGE_BEFORE = re.compile(
    r"\b(?:rang\w+(?:\s+(?:from|of|is))?|anywhere\s+from|between|from\s+about)\s+\$?[\d.,]+\s*(?:[a-z]+\s+)?(?:to|and|-|–)\s*\$?$",
    re.I,
)
VERB = re.compile(
    r"\b(?:is|are|was|were|equals|(?<!in )totals?|totall?ing|mak(?:es?|ing)|leaving|giving|ends?\s+up\s+with|"
    r"earns?|needs?|costs?|pays?|has|have|gets?|takes?|took|spends?|leaves|"
    r"left\s+with|total\s+of|c[ao]mes?\s+to|be|spent|made|paid|ran|ate|sold|bought|[a-z]{3,}ed(?!\s+by))"
    r"\s+(?:\w+\s+){0,3}?(?=-?\$?\d)",
    re.I,
)
POINT = re.compile(r"[(\[](?:\s*-?[\d./]+\s*,)+\s*-?[\d./]+\s*[)\]]")
