"""Schemas about arts, sport and leisure. Each is one value; the words are chosen to read well after the plural noun."""

from __future__ import annotations

from tasks.sql.builtin.pools import CITIES, COUNTRIES, codes, names, people
from tasks.sql.builtin.schema import Schema, category, date, label, number, ref, table

LENGTH_WORDS = ("longer than {} minutes", "shorter than {} minutes", "longest", "shortest")

FILM_STUDIO = Schema(
    id="film_studio",
    tables=(
        table(
            "director",
            "directors",
            12,
            label("name", people("film_studio", 12)),
            category(
                "nationality", "of {} nationality", "French|Korean|American|Italian|Danish", plural="nationalities"
            ),
            number(
                "born",
                (1938, 1990),
                phrase="year of birth",
                words=("born after {}", "born before {}", "youngest", "oldest"),
            ),
        ),
        table(
            "film",
            "films",
            42,
            label(
                "title",
                names(
                    "Night Signal|The Paper King|Golden Dust|Cold Harbor|Two Doors|Sunday People|The Understudy|"
                    "Echo Park|Long Shadows|Velvet Road|Zero Hour|The Clockmaker|Desert Bloom|White Noise|The "
                    "Visitor|Red Line|Falling Slowly|Iron Sky|The Guest List|Moonlit|Open Window|The Negotiator|"
                    "Crossing|Wild Card|Safe House|The Swimmer|After Hours|Burning Bridge|Deep End|Final Act|"
                    "Ghost Light|High Noon Again|Inner City|Jet Lag|Kingfisher|Last Call|Midnight Sun|New Moon|"
                    "Over the Hill|Palm Reader|Quiet Storm|River Bend|Side Street"
                ),
            ),
            ref("director", "directed by", "have directed"),
            category("genre", "in the genre {}", "Drama|Comedy|Thriller|Western|Horror"),
            number("minutes", (78, 190), 2, phrase="running time", words=LENGTH_WORDS),
            number(
                "budget_m",
                (1, 140),
                phrase="budget in millions",
                adds=True,
                words=(
                    "with a budget above {} million",
                    "with a budget below {} million",
                    "most expensive",
                    "cheapest",
                ),
            ),
            date("released", "released", (2008, 2023), "release date"),
        ),
    ),
)

MUSIC_LABEL = Schema(
    id="music_label",
    tables=(
        table(
            "artist",
            "artists",
            13,
            label(
                "name",
                names(
                    "Velvet Fox|The Lanterns|Nova Kids|Marble Arch|Low Season|Echo Valley|Paper Tigers|Blue "
                    "Static|Hollow Coves|Sugar Rail|The Night Owls|Gold Coast|Sunday Drivers"
                ),
            ),
            category("country", "from {}", "Sweden|Ireland|Australia|Jamaica|France", plural="countries"),
            number(
                "founded",
                (1979, 2016),
                phrase="founding year",
                words=("founded after {}", "founded before {}", "newest", "oldest"),
            ),
        ),
        table(
            "album",
            "albums",
            24,
            label(
                "title",
                names(
                    "First Light|Neon Garden|Slow Burn|Parallel|Static Bloom|Home Again|Feather|Aftermath|Wild "
                    "Hearts|Night Shift|Carousel|Satellites|Undertow|Mirage|Gravity|Postcards|Monsoon|Halo|Tempo|"
                    "Blueprint|Vertigo|Horizon|Drift|Encore"
                ),
            ),
            ref("artist", "recorded by", "have recorded"),
            category("style", "in the style {}", "rock|jazz|folk|electronic"),
            date("released_on", "released", (2005, 2023), "release date"),
            number("sales", (2000, 950000), 1000, phrase="number of copies sold", adds=True),
        ),
        table(
            "song",
            "songs",
            48,
            label(
                "name",
                names(
                    "Hold On|Runaway|Satin|Glow|Wide Awake|Ocean Drive|Tangled|Breathe|Ghosts|Honey|Static|"
                    "Lifeline|Paper Heart|Fireflies|Old Town|Silver Line|Nowhere|Stay|Ember|Rewind|Shiver|"
                    "Daylight|Anchor|Wander|Bright Side|Cold Feet|Heavy|Loud|Mercury|Northbound|Overdrive|Pulse|"
                    "Quicksand|Ripples|Sundown|Thunder|Umbra|Vapor|Whisper|Xylo|Yellow Room|Zenith|Arrow|Bloom|"
                    "Cascade|Dancer|Easy|Fever|Golden"
                ),
            ),
            ref("album", "on the", "contain"),
            number(
                "seconds",
                (125, 420),
                5,
                phrase="length in seconds",
                adds=True,
                words=("longer than {} seconds", "shorter than {} seconds", "longest", "shortest"),
            ),
            number(
                "plays",
                (100, 98000),
                100,
                phrase="play count",
                adds=True,
                words=("played more than {} times", "played less than {} times", "most played", "least played"),
            ),
        ),
    ),
)

FOOTBALL_LEAGUE = Schema(
    id="football_league",
    tables=(
        table(
            "club",
            "clubs",
            12,
            label(
                "name",
                names(
                    "River City|North United|Harbor FC|Red Stars|Athletic East|Royal Oaks|Union Hill|Lions|"
                    "Valley Rangers|Old Boys|Steel Town|Wanderers"
                ),
            ),
            category("city", "based in {}", CITIES, plural="cities"),
            number(
                "founded",
                (1880, 1985),
                phrase="founding year",
                words=("founded after {}", "founded before {}", "youngest", "oldest"),
            ),
        ),
        table(
            "player",
            "players",
            46,
            label("name", people("football_league", 46)),
            ref("club", "playing for the", "have"),
            category("position", "in the position {}", "goalkeeper|defender|midfielder|forward"),
            category("nationality", "from {}", COUNTRIES, phrase="nationality", plural="nationalities"),
            number(
                "goals",
                (0, 28),
                phrase="number of goals",
                adds=True,
                words=("with more than {} goals", "with fewer than {} goals", "", ""),
            ),
            date("born_on", "born", (1985, 2004), "date of birth"),
        ),
    ),
)

ART_MUSEUM = Schema(
    id="art_museum",
    tables=(
        table(
            "painter",
            "painters",
            12,
            label("name", people("art_museum", 12)),
            category("movement", "of the movement {}", "Cubism|Realism|Baroque|Impressionism"),
            number("died", (1650, 1985), phrase="year of death").nullable(
                "without a year of death", "with a year of death", 0.2
            ),
        ),
        table(
            "painting",
            "paintings",
            40,
            label(
                "title",
                names(
                    "The Mill|Woman Reading|Harbor at Dawn|Still Life with Pears|The Card Players|Blue Interior|"
                    "Winter Road|Two Sisters|The Orchard|Lady in Green|Fishing Boats|The Storm|Garden Gate|Old "
                    "Bridge|The Dancer|Red Roofs|Morning Market|The Musician|Cliffs|Boy with Dog|The Letter|"
                    "Sunflowers|Night Street|The Shepherd|White Horse|Village Church|The Balcony|Sea View|Snow "
                    "Field|The Baker|Autumn Park|Girl with Fan|The Ferry|Water Lilies|Grey Day|The Smith|Hay "
                    "Wagon|Open Door|The Judge|Rooftops|Quiet Bay"
                ),
            ),
            ref("painter", "painted by", "have painted"),
            category("technique", "in the technique {}", "oil|watercolor|tempera|pastel"),
            number(
                "height_cm",
                (20, 240),
                5,
                phrase="height in centimeters",
                words=("taller than {} centimeters", "shorter than {} centimeters", "tallest", "shortest"),
            ),
            number(
                "insured_value",
                (8000, 960000),
                1000,
                phrase="insured value",
                adds=True,
                words=("", "", "most valuable", "least valuable"),
            ),
            date("acquired_on", "acquired", (1995, 2023), "acquisition date"),
        ),
    ),
)

TENNIS_CLUB = Schema(
    id="tennis_club",
    tables=(
        table(
            "member",
            "members",
            16,
            label("name", people("tennis_club", 16)),
            category("level", "at the level {}", "beginner|intermediate|advanced"),
            number("age", (14, 71), words=("older than {}", "younger than {}", "oldest", "youngest")),
            date("joined_on", "admitted", (2012, 2023), "joining date"),
        ),
        table(
            "booking",
            "bookings",
            46,
            ref("member", "made by", "have made"),
            category("court", "on the court {}", "Center|North|South|Garden"),
            number(
                "hours",
                (1, 4),
                0.5,
                phrase="number of hours",
                adds=True,
                words=("longer than {} hours", "shorter than {} hours", "longest", "shortest"),
            ),
            number(
                "fee",
                (8, 60),
                2,
                adds=True,
                words=("with a fee above {}", "with a fee below {}", "most expensive", "cheapest"),
            ),
            date("played_on", "played", (2022, 2023), "playing date").nullable("not yet played", "already played", 0.2),
        ),
    ),
)

THEATER = Schema(
    id="theater",
    tables=(
        table(
            "play",
            "plays",
            14,
            label(
                "title",
                names(
                    "The Lighthouse|A Winter Visit|Borrowed Time|The Understudies|Three Chairs|Paper Crowns|The "
                    "Trial of Ms. Ross|Garden Party|The Long Goodbye|Masks|The Inheritance|Dear Brother|Open "
                    "Stage|The Tailor"
                ),
            ),
            category("genre", "in the genre {}", "comedy|tragedy|musical"),
            number("minutes", (65, 185), 5, phrase="duration in minutes", words=LENGTH_WORDS),
            number(
                "premiere_year", (1960, 2020), words=("premiered after {}", "premiered before {}", "newest", "oldest")
            ),
        ),
        table(
            "actor",
            "actors",
            16,
            label("name", people("theater", 16)),
            category("city", "living in {}", CITIES, plural="cities"),
            number(
                "experience",
                (1, 38),
                phrase="experience in years",
                words=(
                    "with more than {} years of experience",
                    "with less than {} years of experience",
                    "most experienced",
                    "least experienced",
                ),
            ),
        ),
        table(
            "casting",
            "castings",
            42,
            ref("play", "for the", "have"),
            ref("actor", "of the", "have"),
            category("part", "with the part type {}", "lead|support|chorus", phrase="part type"),
            number("fee", (200, 3000), 50, adds=True),
            date("signed_on", "signed", (2021, 2023), "signing date"),
        ),
    ),
)

VIDEO_GAMES = Schema(
    id="video_games",
    tables=(
        table(
            "developer",
            "developers",
            12,
            label(
                "name",
                names(
                    "Pixel Forge|Red Panda|Northlight|Cobalt Games|Moonbase|Tiny Giants|Iron Fox|Lucky Byte|"
                    "Sandcastle|Ninth Gate|Owlworks|Deep Dive"
                ),
            ),
            category("country", "from {}", "Japan|Poland|Canada|Sweden|France", plural="countries"),
            number(
                "staff",
                (4, 900),
                2,
                phrase="staff size",
                adds=True,
                words=("with more than {} employees", "with fewer than {} employees", "largest", "smallest"),
            ),
        ),
        table(
            "game",
            "games",
            44,
            label(
                "title",
                names(
                    "Starfall|Dungeon Kings|Skyline|Turbo Drift|Lost Temple|Farmstead|Neon Blade|Word Garden|"
                    "Dragon Coast|Space Miner|Rail Tycoon|Shadow Run|Puzzle Bay|Arena Zero|Frost Giants|Magic "
                    "Acres|Ocean Deep|Kart Mania|Clockwork|Silent Forest|Battle Chess|Cave Story Two|Fairy Ring|"
                    "Gem Quest|Hex Empire|Island Life|Jungle Rush|Knight Fall|Laser Grid|Mecha War|Night Racer|"
                    "Orbit|Pirate Cove|Quantum|Robot Farm|Sword Song|Tower Up|Undersea|Viking Saga|Wizard School|"
                    "Xeno|Yeti Ski|Zombie Bus|Mars Colony|Tea Party"
                ),
            ),
            ref("developer", "made by", "have made"),
            category("genre", "in the genre {}", "strategy|puzzle|racing|adventure|simulation"),
            category("platform", "for the platform {}", "PC|console|mobile"),
            number(
                "price",
                (2, 70),
                0.5,
                words=("costing more than {}", "costing less than {}", "most expensive", "cheapest"),
            ),
            number(
                "score", (38, 97), phrase="review score", words=("", "", "best reviewed", "worst reviewed")
            ).nullable("without a review score", "with a review score", 0.15),
            date("launched_on", "launched", (2012, 2023), "launch date"),
        ),
    ),
)

CYCLING_TOUR = Schema(
    id="cycling_tour",
    tables=(
        table(
            "team",
            "teams",
            10,
            label(
                "name",
                names(
                    "Alpine Racing|Blue Arrow|Velo Nord|Sunweb Riders|Torque|Summit|Redline|Breakaway|Crosswind|"
                    "Peloton One"
                ),
            ),
            category("country", "from {}", "Belgium|Spain|Netherlands|Colombia", plural="countries"),
            number("budget", (2, 45), 0.5, phrase="budget", adds=True, words=("", "", "richest", "poorest")),
        ),
        table(
            "rider",
            "riders",
            30,
            label("name", people("cycling_tour", 30)),
            ref("team", "riding for the", "have"),
            category("role", "with the role {}", "climber|sprinter|rouleur"),
            number(
                "weight",
                (54, 84),
                phrase="weight",
                words=("heavier than {} kilograms", "lighter than {} kilograms", "heaviest", "lightest"),
            ),
        ),
        table(
            "result",
            "results",
            48,
            ref("rider", "achieved by the", "have"),
            category("stage", "on the stage type {}", "flat|mountain|time trial", phrase="stage type"),
            number("place", (1, 60), phrase="place", words=("with a place above {}", "with a place below {}", "", "")),
            number(
                "points",
                (0, 50),
                2,
                phrase="number of points",
                adds=True,
                words=("with more than {} points", "with fewer than {} points", "", ""),
            ),
            date("raced_on", "achieved", (2021, 2023), "race date"),
        ),
    ),
)

PHOTO_AGENCY = Schema(
    id="photo_agency",
    tables=(
        table(
            "photographer",
            "photographers",
            12,
            label("name", people("photo_agency", 12)),
            category("specialty", "with the specialty {}", "wildlife|fashion|news|travel", plural="specialties"),
            category("home_city", "living in {}", CITIES, phrase="home city", plural="home cities"),
        ),
        table(
            "photo",
            "photos",
            44,
            label("code", codes("PH", 1200, 44)),
            ref("photographer", "taken by", "have taken"),
            category("format", "in the format {}", "raw|jpeg|film"),
            number(
                "width_px",
                (1200, 9600),
                100,
                phrase="width in pixels",
                words=("wider than {} pixels", "narrower than {} pixels", "widest", "narrowest"),
            ),
            number(
                "license_fee",
                (15, 480),
                5,
                phrase="license fee",
                adds=True,
                words=("", "", "most expensive", "cheapest"),
            ),
            date("taken_on", "taken", (2016, 2023), "shooting date"),
            number(
                "downloads",
                (0, 900),
                5,
                phrase="number of downloads",
                adds=True,
                words=(
                    "downloaded more than {} times",
                    "downloaded less than {} times",
                    "most downloaded",
                    "least downloaded",
                ),
            ),
        ),
    ),
)
