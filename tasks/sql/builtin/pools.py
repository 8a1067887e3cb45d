"""Names for generated rows: invented people and firms, real cities and countries. All texts are the project's own."""

from __future__ import annotations

from tasks.sql.builtin.draw import Draw


def names(texts: str) -> list[str]:
    """The parts of `texts`, divided by "|"."""
    return texts.split("|")


_FIRST = names(
    "Alice|Amir|Anna|Ben|Carla|Carlos|Chloe|Daniel|Diana|Elena|Emil|Farah|Felix|Grace|Hana|Hugo|Ines|Ivan|Jonas|"
    "Julia|Karim|"
    "Laura|Leo|Lina|Marco|Maria|Mia|Nadia|Noah|Olga|Omar|Paula|Peter|Priya|Rosa|Ruth|Samuel|Sara|Sven|Tara|Tom|"
    "Victor|Wei|Yuki|Zoe"
)
_LAST = names(
    "Adler|Alvarez|Becker|Brandt|Carter|Chen|Costa|Dubois|Eriksen|Fischer|Garcia|Haas|Ito|Jansen|Kapoor|Kowalski|"
    "Larsen|Lopez|"
    "Meyer|Moreau|Nakamura|Novak|O'Brien|Okafor|Olsen|Park|Petrov|Quinn|Ricci|Romero|Sato|Schmidt|Silva|Tanaka|"
    "Turner|Vargas|"
    "Walsh|Weber|Young|Zhang"
)

CITIES = "Berlin|Lisbon|Oslo|Madrid|Vienna|Boston|Toronto|Seattle|Dublin|Prague"
US_CITIES = "Austin|Denver|Chicago|Portland|Atlanta|Boston|Seattle|Phoenix"
COUNTRIES = "Germany|Spain|Japan|Brazil|Canada|Italy|France|India|Norway|Mexico"


def people(domain: str, count: int) -> list[str]:
    """`count` different full names; the same for one domain always."""
    draw = Draw("people", domain)
    made: dict[str, None] = {}
    while len(made) < count:
        made[f"{draw.one(_FIRST)} {draw.one(_LAST)}"] = None
    return list(made)


def codes(prefix: str, first: int, count: int) -> list[str]:
    """`count` codes such as "INV-2041", rising in uneven steps."""
    draw = Draw("codes", prefix, first)
    number, made = first, []
    for _ in range(count):
        number += draw.between(1, 9)
        made.append(f"{prefix}{number}")
    return made
