"""The English of the built-in word problems: people, settings, and several phrasings of each kind of step.

Goes in: nothing. Comes out: tables that `generate.py` fills with numbers. A phrase's slots: {A} the person, {they} and
{their} for the person, {B} another person, {n} {m} {k} numbers, {items} the things counted, {item} one of them, {box}
and {boxes} what they come in, {place}. Every text is written for this project.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One small world: what is counted there, what it comes in, and how a person gets and sells it."""

    name: str
    item: str
    items: str
    box: str
    boxes: str
    place: str
    gets: str
    makes: str
    gives_away: str


SETTINGS = (
    Setting(name="eggs", item="egg", items="eggs", box="tray", boxes="trays", place="farm",
            gets="collects", makes="gathers", gives_away="cooks"),
    Setting(name="books", item="book", items="books", box="crate", boxes="crates", place="library",
            gets="receives", makes="sorts", gives_away="lends out"),
    Setting(name="cookies", item="cookie", items="cookies", box="bag", boxes="bags", place="bakery",
            gets="buys", makes="bakes", gives_away="hands out"),
    Setting(name="marbles", item="marble", items="marbles", box="jar", boxes="jars", place="school",
            gets="wins", makes="polishes", gives_away="loses"),
    Setting(name="stickers", item="sticker", items="stickers", box="sheet", boxes="sheets", place="club",
            gets="buys", makes="prints", gives_away="gives away"),
    Setting(name="flowers", item="flower", items="flowers", box="bunch", boxes="bunches", place="garden",
            gets="picks", makes="plants", gives_away="throws out"),
    Setting(name="pencils", item="pencil", items="pencils", box="pack", boxes="packs", place="office",
            gets="orders", makes="sharpens", gives_away="uses up"),
    Setting(name="apples", item="apple", items="apples", box="basket", boxes="baskets", place="orchard",
            gets="picks", makes="washes", gives_away="eats"),
    Setting(name="candles", item="candle", items="candles", box="carton", boxes="cartons", place="workshop",
            gets="finishes", makes="pours", gives_away="burns"),
    Setting(name="tickets", item="ticket", items="tickets", box="roll", boxes="rolls", place="theater",
            gets="is given", makes="stamps", gives_away="returns"),
    Setting(name="shirts", item="shirt", items="shirts", box="parcel", boxes="parcels", place="store",
            gets="orders", makes="irons", gives_away="donates"),
    Setting(name="bricks", item="brick", items="bricks", box="pallet", boxes="pallets", place="building site",
            gets="unloads", makes="lays out", gives_away="breaks"),
    Setting(name="fish", item="fish", items="fish", box="bucket", boxes="buckets", place="harbor",
            gets="catches", makes="cleans", gives_away="sets free"),
    Setting(name="postcards", item="postcard", items="postcards", box="album", boxes="albums", place="museum",
            gets="collects", makes="paints", gives_away="mails"),
    Setting(name="batteries", item="battery", items="batteries", box="box", boxes="boxes", place="factory",
            gets="buys", makes="tests", gives_away="throws away"),
    Setting(name="muffins", item="muffin", items="muffins", box="tin", boxes="tins", place="cafe",
            gets="orders", makes="bakes", gives_away="drops"),
)  # fmt: skip

SHE = ("Amara", "Bea", "Clara", "Dina", "Elif", "Fiona", "Grace", "Hana", "Ines", "Julia", "Keiko", "Lena", "Maya",
       "Nora", "Olga", "Priya", "Rosa", "Sara", "Tess", "Uma", "Vera", "Wendy", "Yara", "Zoe")  # fmt: skip
HE = ("Adam", "Boris", "Carlos", "David", "Emil", "Felix", "Gus", "Hugo", "Ivan", "Jonas", "Kofi", "Liam", "Marco",
      "Nils", "Omar", "Paul", "Quinn", "Ravi", "Sam", "Theo", "Umar", "Victor", "Will", "Yusuf")  # fmt: skip

# How a story starts. The step each makes is in generate.py.
OPENINGS: dict[str, tuple[str, ...]] = {
    "start": (
        "{A} has {n} {items}.",
        "There are {n} {items} in {A}'s part of the {place}.",
        "At the {place}, {A} starts the day with {n} {items}.",
        "{A} {gets} {n} {items}.",
    ),
    "packs": (
        "{A} {gets} {n} {boxes} of {items} with {m} {items} in each {box}.",
        "At the {place} there are {n} {boxes}, and each {box} holds {m} {items}. All of them belong to {A}.",
        "{A} fills {n} {boxes}. Every {box} takes {m} {items}.",
        "Each {box} has {m} {items} in it, and {A} has {n} {boxes}.",
    ),
    "rate": (
        "{A} {makes} {n} {items} every hour and works for {m} hours.",
        "For {m} days, {A} {makes} {n} {items} a day.",
        "{A} works {m} shifts at the {place}. In each shift {they} {makes} {n} {items}.",
    ),
    "two_parts": (
        "{A} {gets} {n} {items} in the morning and {m} in the afternoon.",
        "On Monday {A} {gets} {n} {items}, and on Tuesday {they} {gets} {m} more.",
        "{A} has {n} large {items} and {m} small ones.",
    ),
    "times_as_many": (
        "{B} has {n} {items}. {A} has {k} times as many.",
        "{A} owns {k} times as many {items} as {B}, who owns {n}.",
        "{B} {gets} {n} {items} at the {place}, and {A} {gets} {k} times that number.",
    ),
    "fewer": (
        "{B} has {n} {items}. {A} has {m} fewer than {B}.",
        "{A} has {m} {items} fewer than {B}, who has {n}.",
        "The {place} wanted {A} to bring {n} {items}, but {they} brought {m} fewer than that.",
    ),
}  # fmt: skip

# What happens next. {v} is the verb of the setting for parting with things.
EVENTS: dict[str, tuple[str, ...]] = {
    "gain": (
        "Then {B} gives {them} {n} more {items}.",
        "Later {they} {gets} another {n}.",
        "After lunch, {n} more {items} arrive for {them}.",
        "{B} adds {n} {items} to {their} pile.",
    ),
    "lose": (
        "Then {they} {v} {n} of them.",
        "{They} {v} {n} {items} before the evening.",
        "{B} takes {n} of {their} {items}.",
        "It turns out that {n} of the {items} are damaged, so {they} {v} those.",
    ),
    "double": (
        "A week later {their} number of {items} has grown to {k} times as many.",
        "By the end of the month {they} has {k} times as many {items} as before.",
        "{B} is impressed and brings enough {items} to make it {k} times as many.",
    ),
    "keep_fraction": (
        "{They} keeps only one {fraction} of them.",
        "Only one {fraction} of the {items} can be used, so {they} keeps just those.",
        "{They} shares them out until exactly one {fraction} of the {items} is left for {them}.",
    ),
    "lose_percent": (
        "Then {they} {v} {k}% of them.",
        "{k}% of the {items} are sold at the {place}.",
        "{B} borrows {k}% of the {items} and does not bring them back.",
    ),
    "share": (
        "{They} puts all the {items} into {k} {boxes} with the same number in each.",
        "{They} divides the {items} equally among {k} friends.",
        "The {items} are split evenly between {k} tables.",
    ),
    "sell": (
        "{They} sells all the {items} for ${n} each.",
        "Every one of the {items} is sold at a price of ${n}.",
        "At the market each {item} brings in ${n}, and {they} sells them all.",
    ),
    "spend": (
        "From that money {they} pays ${n} for the stall.",
        "{They} then spends ${n} on paint.",
        "A new pair of shoes costs {them} ${n} of it.",
    ),
    "earn": (
        "{B} also pays {them} ${n} for helping out.",
        "In {their} pocket {they} already had ${n}.",
        "{They} finds another ${n} in a drawer.",
    ),
    "save_equal": (
        "{They} splits the money equally between {k} savings accounts.",
        "The money is shared equally by {k} people.",
    ),
}

# One sentence with a number that plays no part.
DISTRACTORS = (
    "{A} is {d} years old.",
    "The {place} opened {d} years ago.",
    "{B} lives {d} miles away.",
    "It takes {A} {d} minutes to walk to the {place}.",
    "There are {d} chairs in the {place}.",
    "{A} has read {d} pages of a novel this week.",
    "The bus to the {place} is number {d}.",
    "{B} also has {d} balloons at home.",
)

QUESTIONS: dict[str, tuple[str, ...]] = {
    "items": (
        "How many {items} does {A} have now?",
        "How many {items} does {A} end up with?",
        "What is the number of {items} that {A} has in the end?",
        "In total, how many {items} are left with {A}?",
    ),
    "share": (
        "How many {items} are in each part?",
        "How many {items} does each one get?",
        "What is the number of {items} in one share?",
    ),
    "money": (
        "How many dollars does {A} have now?",
        "How much money, in dollars, does {A} have in the end?",
        "What amount of money in dollars does {A} end up with?",
    ),
    "money_share": (
        "How many dollars are in each share?",
        "What is one share of the money, in dollars?",
    ),
}

FRACTIONS = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 6: "sixth", 8: "eighth", 10: "tenth"}
