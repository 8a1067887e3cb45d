"""The five domains of the built-in data: attributes in gold's order, their values, and how English says them.

A phrase is a verb phrase in the third person, so that "it {phrase}", "that {phrase}" and "because it {phrase}" are
English. A closed attribute maps each value to phrases that mean this value and no other one of any attribute in the
domain; a test checks that no phrase says two things. An open one has templates around `{v}` and makes its values by
drawing one word from each pool, so most names in test were never seen in training. No outside source; Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One slot. `closed` has its values with their phrases; otherwise a value joins a draw from each of `pools`."""

    name: str
    question: str
    closed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    templates: tuple[str, ...] = ()
    pools: tuple[tuple[str, ...], ...] = ()
    most_values: int = 1

    @property
    def meaning(self) -> str:
        """The closed values, for the prompt; empty when any value may stand."""
        return "/".join(self.closed)


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A kind of thing to talk about. The first attribute is its name."""

    name: str
    nouns: tuple[str, ...]
    attributes: tuple[Attribute, ...]


_FILMS = Domain(
    name="film",
    nouns=("film", "movie", "picture"),
    attributes=(
        Attribute(
            name="name",
            question="what it is called",
            pools=(
                ("The Last ", "A Quiet ", "Beyond the ", "Seven ", "No ", "The Paper ", "Midnight ", "Our "),
                ("Harbour", "Orchard", "Winter", "Witness", "Cartographer", "Echo", "Lanterns", "Café", "Machine"),
                ("", "", " II", ": Reckoning", " & Sons", " of Mars", " (Redux)", " Again"),
            ),
        ),
        Attribute(
            name="director",
            question="who directed it",
            templates=("was directed by {v}", "comes from director {v}", "was shot by {v}"),
            pools=(
                ("Ana ", "Tomás ", "Ingrid ", "Kwame ", "Yuki ", "Leila ", "Piotr "),
                ("Okafor", "Lindqvist", "Moreau", "Tanaka", "O'Neill", "Haddad", "Novák", "Silva"),
            ),
        ),
        Attribute(
            name="year",
            question="which year it came out",
            templates=("came out in {v}", "was released in {v}", "first ran in {v}"),
            pools=(
                ("19", "20"),
                ("03", "11", "18", "24", "07", "15"),
            ),
        ),
        Attribute(
            name="genres",
            question="what genre it is",
            templates=("belongs to the {v} genre", "counts as {v}", "mixes in plenty of {v}"),
            pools=(("horror", "comedy", "science fiction", "romance", "western", "film noir", "documentary"),),
            most_values=3,
        ),
        Attribute(
            name="length",
            question="how long it is",
            closed={
                "short": ("is over in barely an hour", "hardly takes any time to watch", "wraps up quickly"),
                "medium": ("runs for about an hour and a half", "has a normal running time", "is of average length"),
                "long": ("goes on for more than three hours", "takes up a whole evening", "never seems to end"),
            },
        ),
        Attribute(
            name="audience",
            question="what age it is meant for",
            closed={
                "all ages": ("is fine for small children", "suits the whole family", "can be watched by anybody"),
                "12+ (teens)": ("is meant for teenagers", "is not for kids under twelve", "needs viewers of twelve up"),
                "18+ (adults only)": ("is for grown-ups only", "is closed to minors", "wants viewers past eighteen"),
            },
        ),
        Attribute(
            name="rating",
            question="how good it is",
            closed={
                "poor": ("was panned by everyone", "bored me to tears", "is a waste of a ticket"),
                "average": ("is neither good nor bad", "is watchable but nothing special", "got lukewarm reviews"),
                "excellent": ("is a masterpiece", "had the critics raving", "blew me away"),
            },
        ),
        Attribute(
            name="has_subtitles",
            question="whether it has subtitles",
            closed={
                "yes": ("comes with subtitles", "shows the dialogue as text", "is captioned"),
                "no": ("lacks subtitles", "has no captions", "does not print the dialogue on screen"),
            },
        ),
        Attribute(
            name="on_streaming",
            question="whether it can be streamed",
            closed={
                "yes": ("can be streamed at home", "is in the online catalogues", "is available to stream"),
                "no": ("cannot be streamed anywhere", "is missing from every streaming service", "is not online"),
            },
        ),
    ),
)

_HOTELS = Domain(
    name="hotel",
    nouns=("hotel", "place to stay", "guesthouse"),
    attributes=(
        Attribute(
            name="name",
            question="what it is called",
            pools=(
                ("Hotel ", "The ", "Casa ", "Grand ", "Old ", "Villa "),
                ("Marigold", "Lumière", "Anchor", "Falcon", "Saint-Clair", "Birch", "O'Malley", "Zephyr"),
                ("", "", " Inn", " No. 9", " & Spa", " House", " (Annex)"),
            ),
        ),
        Attribute(
            name="city",
            question="which city it is in",
            templates=("is located in {v}", "stands in the middle of {v}", "can be found in {v}"),
            pools=(("Lisbon", "Kraków", "Osaka", "Cape Town", "São Paulo", "Leeds", "Montréal", "Hanoi", "Tartu"),),
        ),
        Attribute(
            name="stars",
            question="how many stars it has",
            templates=("has {v} stars", "was awarded {v} stars", "is listed with {v} stars"),
            pools=(("2", "3", "4", "5"),),
        ),
        Attribute(
            name="price",
            question="what it costs",
            closed={
                "low": ("is easy on the wallet", "costs next to nothing", "is a bargain"),
                "medium": ("is moderately priced", "charges an ordinary rate", "is neither cheap nor dear"),
                "high": ("costs a fortune", "is very expensive", "asks for a lot of money"),
            },
        ),
        Attribute(
            name="facilities",
            question="which facilities it has",
            templates=("offers {v}", "has {v} for its guests", "is equipped with {v}"),
            pools=(("a pool", "a sauna", "parking", "a gym", "a library", "bike rental", "a roof terrace"),),
            most_values=3,
        ),
        Attribute(
            name="noise",
            question="how loud it is",
            closed={
                "quiet": ("is so calm you hear the birds", "is perfect for light sleepers", "is peaceful at night"),
                "loud": ("sits above a noisy bar", "keeps you awake all night", "shakes when trams go by"),
            },
        ),
        Attribute(
            name="rating",
            question="what guests think of it",
            closed={
                "poor": ("disappointed all of its guests", "gets terrible reviews", "is dirty and run down"),
                "average": ("is acceptable, no more", "gets mixed reviews", "is all right for one night"),
                "excellent": ("is loved by its guests", "gets glowing reviews", "could not be any better"),
            },
        ),
        Attribute(
            name="pets_allowed",
            question="whether pets may stay",
            closed={
                "yes": ("welcomes dogs", "lets you bring your cat", "is happy to take animals"),
                "no": ("turns animals away", "does not accept pets", "makes you leave the dog at home"),
            },
        ),
        Attribute(
            name="has_breakfast",
            question="whether breakfast is served",
            closed={
                "yes": ("serves breakfast", "feeds you in the morning", "includes a morning meal"),
                "no": ("leaves you hungry in the morning", "does not do breakfast", "has no morning meal"),
            },
        ),
    ),
)

_RECIPES = Domain(
    name="recipe",
    nouns=("dish", "recipe", "meal"),
    attributes=(
        Attribute(
            name="name",
            question="what it is called",
            pools=(
                ("Aunt Rosa's ", "Smoky ", "Golden ", "Crispy ", "Winter ", "Five-Hour ", "Lazy "),
                ("Lentil", "Jalapeño", "Pumpkin", "Crème", "Barley", "Mushroom", "Plum"),
                (" Stew", " Pie", " Bake", " Curry", " Dumplings", " Salad", " à la Maison"),
            ),
        ),
        Attribute(
            name="cuisine",
            question="which cuisine it comes from",
            templates=("comes from {v} cooking", "is a classic of {v} cuisine", "has its roots in {v} kitchens"),
            pools=(("Georgian", "Peruvian", "Thai", "Moroccan", "Polish", "Korean", "Basque", "Ethiopian"),),
        ),
        Attribute(
            name="ingredients",
            question="what goes into it",
            templates=("is made with {v}", "calls for {v}", "needs {v}"),
            pools=(("garlic", "coconut milk", "walnuts", "blue cheese", "spinach", "red wine", "smoked trout"),),
            most_values=3,
        ),
        Attribute(
            name="minutes",
            question="how many minutes it takes",
            templates=("takes {v} minutes", "is ready in {v} minutes", "is done after {v} minutes"),
            pools=(("10", "25", "40", "55", "90", "120"),),
        ),
        Attribute(
            name="difficulty",
            question="how hard it is to make",
            closed={
                "easy": ("can be made by a beginner", "is hard to get wrong", "asks for no skill at all"),
                "medium": ("takes a little practice", "is for cooks with some experience", "is not quite trivial"),
                "hard": ("is a challenge even for chefs", "goes wrong for most people", "demands real skill"),
            },
        ),
        Attribute(
            name="spiciness",
            question="how hot it is",
            closed={
                "mild": ("does not burn at all", "is gentle on the tongue", "has no heat to speak of"),
                "medium": ("has a little kick", "is warm but not fiery", "tingles slightly"),
                "hot": ("sets your mouth on fire", "is full of chillies", "will make you sweat"),
            },
        ),
        Attribute(
            name="rating",
            question="how it tastes",
            closed={
                "poor": ("tastes awful", "went straight into the bin", "pleased nobody at the table"),
                "average": ("tastes all right", "is edible but dull", "got a shrug from everyone"),
                "excellent": ("tastes wonderful", "had everyone asking for more", "is the best thing I ever ate"),
            },
        ),
        Attribute(
            name="is_vegan",
            question="whether it is vegan",
            closed={
                "yes": ("is free of animal products", "is suitable for vegans", "is entirely plant-based"),
                "no": ("is not for vegans", "contains animal products", "is off the menu for a vegan"),
            },
        ),
        Attribute(
            name="freezes_well",
            question="whether it can be frozen",
            closed={
                "yes": ("can be frozen", "keeps for months in the freezer", "survives freezing"),
                "no": ("must not be frozen", "falls apart in the freezer", "cannot be kept on ice"),
            },
        ),
    ),
)

_LAPTOPS = Domain(
    name="laptop",
    nouns=("laptop", "notebook", "portable computer"),
    attributes=(
        Attribute(
            name="name",
            question="what it is called",
            pools=(
                ("Aero", "Nimbus ", "Volt", "Kestrel ", "Terra", "Quanta "),
                ("Book", "Pad", "Slate", "One", "Pro", "Air"),
                (" 14", " X2", " (2025)", " Max", "", " S/3", " Élan"),
            ),
        ),
        Attribute(
            name="maker",
            question="who makes it",
            templates=("is made by {v}", "is built by {v}", "comes out of the {v} factory"),
            pools=(("Hexacore", "Blue Fern", "Norrland Systems", "Pinnacle", "Ōkami", "Tress & Vale"),),
        ),
        Attribute(
            name="release_year",
            question="when it was launched",
            templates=("was launched in {v}", "went on sale in {v}", "has been sold since {v}"),
            pools=(("2019", "2020", "2021", "2022", "2023", "2024", "2025"),),
        ),
        Attribute(
            name="ports",
            question="which ports it has",
            templates=("has connectors for {v}", "can be plugged into {v}", "has sockets for {v}"),
            pools=(("HDMI", "USB-C", "Ethernet", "headphones", "an SD card", "DisplayPort"),),
            most_values=3,
        ),
        Attribute(
            name="weight",
            question="how heavy it is",
            closed={
                "light": ("weighs almost nothing", "is easy to carry around", "feels like a feather"),
                "medium": ("has an ordinary weight", "weighs about as much as most", "is neither light nor heavy"),
                "heavy": ("weighs a ton", "hurts your back when you carry it", "is a real brick"),
            },
        ),
        Attribute(
            name="battery",
            question="how long the battery lasts",
            closed={
                "short": ("dies after an hour", "is always looking for a socket", "drains in no time"),
                "average": ("lasts half a day", "has a typical battery", "gets through an afternoon"),
                "long": ("lasts for days without a charger", "hardly ever needs charging", "runs all week"),
            },
        ),
        Attribute(
            name="price",
            question="what it costs",
            closed={
                "low": ("is a steal", "is cheap", "fits a tiny budget"),
                "medium": ("is reasonably priced", "is in the middle price range", "costs what most do"),
                "high": ("is overpriced", "costs an arm and a leg", "is only for the rich"),
            },
        ),
        Attribute(
            name="has_touchscreen",
            question="whether it has a touchscreen",
            closed={
                "yes": ("has a touchscreen", "reacts to your fingers on the display", "lets you tap the screen"),
                "no": ("has no touchscreen", "ignores fingers on the display", "comes without touch input"),
            },
        ),
        Attribute(
            name="is_repairable",
            question="whether it can be repaired",
            closed={
                "yes": ("can be repaired at home", "is easy to open and fix", "has spare parts for everything"),
                "no": ("is glued shut", "cannot be repaired", "goes to the dump once it breaks"),
            },
        ),
    ),
)

_COURSES = Domain(
    name="course",
    nouns=("course", "class", "training"),
    attributes=(
        Attribute(
            name="name",
            question="what it is called",
            pools=(
                ("Practical ", "Introduction to ", "Advanced ", "Everyday ", "Modern ", "Foundations of "),
                ("Botany", "Bookbinding", "Statistics", "Welsh", "Rhetoric", "Ceramics", "Robotics"),
                ("", "", " II", " in a Week", " (Evening)", ": Theory", " 101"),
            ),
        ),
        Attribute(
            name="teacher",
            question="who teaches it",
            templates=("is taught by {v}", "is given by {v}", "has {v} as the instructor"),
            pools=(
                ("Dr. ", "Ms. ", "Mr. ", "Prof. "),
                ("Abara", "Castañeda", "Whitlock", "Iyer", "Sørensen", "Park", "Delacroix"),
            ),
        ),
        Attribute(
            name="start_date",
            question="when it starts",
            templates=("starts on {v}", "begins on {v}", "opens its doors on {v}"),
            pools=(
                ("January ", "March ", "June ", "September ", "November "),
                ("2", "9", "14", "23", "30"),
                (", 2025", ", 2026"),
            ),
        ),
        Attribute(
            name="topics",
            question="which topics it covers",
            templates=("covers {v}", "goes into {v}", "spends time on {v}"),
            pools=(("safety", "history", "tools", "case studies", "field work", "ethics", "exam practice"),),
            most_values=3,
        ),
        Attribute(
            name="level",
            question="which level it is for",
            closed={
                "beginner": ("assumes no prior knowledge", "is meant for newcomers", "starts from zero"),
                "intermediate": (
                    "expects the basics",
                    "is for people half-way there",
                    "builds on some practice",
                ),
                "expert": ("is only for professionals", "assumes years of experience", "is aimed at specialists"),
            },
        ),
        Attribute(
            name="price",
            question="what it costs",
            closed={
                "free": ("costs nothing", "does not charge a cent", "is free of charge"),
                "moderate": ("asks for a modest fee", "is affordable for most", "has a fair price"),
                "high": ("is terribly expensive", "costs a small fortune", "ruins your savings"),
            },
        ),
        Attribute(
            name="rating",
            question="what students think of it",
            closed={
                "poor": ("is hated by its students", "taught me nothing", "is badly organised"),
                "average": ("is so-so", "leaves students indifferent", "has its ups and downs"),
                "excellent": ("is adored by its students", "changed how I think", "is brilliantly organised"),
            },
        ),
        Attribute(
            name="is_online",
            question="whether it is online",
            closed={
                "yes": ("takes place over the internet", "can be followed from your sofa", "is held online"),
                "no": ("makes you come to the classroom", "is not held online", "happens in person only"),
            },
        ),
        Attribute(
            name="has_certificate",
            question="whether it ends with a certificate",
            closed={
                "yes": ("ends with a certificate", "gives you a diploma", "is officially certified"),
                "no": ("gives you nothing on paper", "ends without a certificate", "hands out no diploma"),
            },
        ),
    ),
)

DOMAINS = (_FILMS, _HOTELS, _RECIPES, _LAPTOPS, _COURSES)
