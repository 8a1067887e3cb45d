"""Schemas about public services and travel. Each is one value; the words read well after the plural noun."""

from __future__ import annotations

from dataclasses import replace

from tasks.sql.builtin.pools import CITIES, COUNTRIES, codes, names, people
from tasks.sql.builtin.schema import Schema, category, date, label, number, ref, table, text

AGE_WORDS = ("older than {}", "younger than {}", "oldest", "youngest")

HOSPITAL = Schema(
    id="hospital",
    tables=(
        table(
            "doctor",
            "doctors",
            13,
            label("name", people("hospital doctors", 13)),
            category(
                "specialty", "with the specialty {}", "cardiology|surgery|pediatrics|neurology", plural="specialties"
            ),
            number(
                "salary",
                (68000, 190000),
                1000,
                words=("earning more than {}", "earning less than {}", "best paid", "worst paid"),
                adds=True,
            ),
        ),
        table(
            "patient",
            "patients",
            18,
            label("name", people("hospital patients", 18)),
            category("blood_type", "with the blood type {}", "A|B|AB|O"),
            number("age", (2, 91), words=AGE_WORDS),
            text("allergy", "allergy", "without an allergy", "with an allergy", "pollen|penicillin|nuts"),
        ),
        table(
            "visit",
            "visits",
            48,
            ref("doctor", "handled by the", "have handled"),
            ref("patient", "of the", "have"),
            date("visited_on", "recorded", (2021, 2023), "visit date"),
            category("reason", "for the reason {}", "check-up|injury|follow-up|fever"),
            number(
                "cost",
                (40, 980),
                10,
                adds=True,
                words=("costing more than {}", "costing less than {}", "most expensive", "cheapest"),
            ),
        ),
    ),
)

CITY_LIBRARY = Schema(
    id="city_library",
    tables=(
        table(
            "reader",
            "readers",
            15,
            label("name", people("city_library", 15)),
            category("membership", "with the membership {}", "basic|student|premium"),
            number("birth_year", (1942, 2010), words=("born after {}", "born before {}", "youngest", "oldest")),
        ),
        table(
            "loan",
            "loans",
            50,
            ref("reader", "taken by", "have taken"),
            category("item_type", "of the item type {}", "book|magazine|film|game"),
            date("loaned_on", "issued", (2021, 2023), "loan date"),
            date("returned_on", "returned", (2021, 2023), "return date").nullable(
                "not yet returned", "already returned", 0.3
            ),
            number("late_fee", (0, 18), 0.5, phrase="late fee", adds=True),
        ),
    ),
)

AIRPORT = Schema(
    id="airport",
    tables=(
        table(
            "airline",
            "airlines",
            11,
            label(
                "name",
                names(
                    "Skyway|Blue Jet|Nordair|Atlas Air|Sunwing|Polar Lines|Coastal|Redbird|Global Wings|Aero Sur|Cirrus"
                ),
            ),
            category("country", "from {}", COUNTRIES, plural="countries"),
            number(
                "fleet_size",
                (6, 240),
                2,
                phrase="fleet size",
                adds=True,
                words=("with more than {} planes", "with fewer than {} planes", "largest", "smallest"),
            ),
        ),
        table(
            "flight",
            "flights",
            46,
            label("code", codes("FL", 200, 46)),
            ref("airline", "operated by", "operate"),
            category("destination", "to {}", "Rome|Oslo|Cairo|Tokyo|Dubai|Lima"),
            number(
                "distance_km",
                (300, 9800),
                50,
                phrase="distance in kilometers",
                adds=True,
                words=("longer than {} kilometers", "shorter than {} kilometers", "longest", "shortest"),
            ),
            number(
                "passengers",
                (40, 380),
                2,
                phrase="number of passengers",
                adds=True,
                words=("with more than {} passengers", "with fewer than {} passengers", "fullest", "emptiest"),
            ),
            date("departed_on", "scheduled", (2022, 2023), "departure date"),
        ),
    ),
)

WEATHER = Schema(
    id="weather",
    tables=(
        table(
            "station",
            "stations",
            11,
            label(
                "name",
                names(
                    "Gull Point|High Pass|Lakeside|Fort Hill|Cape Blue|Pine Ridge|Dry Creek|Old Port|Mount Ash|"
                    "Salt Flat|Green Dale"
                ),
            ),
            category("region", "in the region {}", "coast|mountains|plains"),
            number(
                "elevation",
                (2, 2400),
                2,
                phrase="elevation",
                words=("higher than {} meters", "lower than {} meters", "highest", "lowest"),
            ),
        ),
        table(
            "reading",
            "readings",
            50,
            ref("station", "taken at the", "have"),
            date("taken_on", "taken", (2021, 2023), "reading date"),
            number("temperature", (-14, 38), 0.5, phrase="temperature"),
            number("rain_mm", (0, 64), 1, phrase="rainfall", adds=True).nullable(
                "without a rainfall value", "with a rainfall value", 0.2
            ),
            category("sky", "with a {} sky", "clear|cloudy|overcast", plural="sky conditions", phrase="sky condition"),
        ),
    ),
)

POLICE = Schema(
    id="police",
    tables=(
        table(
            "officer",
            "officers",
            12,
            label("name", people("police", 12)),
            category("rank", "with the rank {}", "sergeant|captain|detective"),
            number(
                "service_years",
                (1, 32),
                phrase="service time in years",
                words=(
                    "with more than {} years of service",
                    "with less than {} years of service",
                    "longest serving",
                    "shortest serving",
                ),
            ),
        ),
        table(
            "incident",
            "incidents",
            46,
            ref("officer", "assigned to", "have handled"),
            category("type", "of the type {}", "theft|fraud|assault|vandalism", phrase="incident type"),
            category("district", "in the district {}", "Harbor|Old Town|Campus|Riverside"),
            date("reported_on", "reported", (2020, 2023), "report date"),
            date("closed_on", "closed", (2021, 2023), "closing date").nullable(
                "not yet closed", "already closed", 0.35
            ),
            number(
                "damage",
                (50, 9500),
                50,
                phrase="damage",
                adds=True,
                words=("with damage above {}", "with damage below {}", "", ""),
            ),
        ),
    ),
)

TRAIN_NETWORK = Schema(
    id="train_network",
    tables=(
        table(
            "line",
            "lines",
            10,
            label(
                "name",
                names(
                    "Coast Line|Blue Express|Mountain Rail|City Loop|Night Star|East Link|Valley Shuttle|Airport "
                    "Direct|Green Arrow|Old Spur"
                ),
            ),
            category("operator", "run by {}", "RailCo|TransNord|Metro"),
            number(
                "length_km",
                (12, 640),
                4,
                phrase="length in kilometers",
                adds=True,
                words=("longer than {} kilometers", "shorter than {} kilometers", "longest", "shortest"),
            ),
            number(
                "opened",
                (1895, 2019),
                phrase="opening year",
                words=("opened after {}", "opened before {}", "newest", "oldest"),
            ),
        ),
        table(
            "stop",
            "stops",
            34,
            label(
                "name",
                names(
                    "Abbey Road|Birch Hill|Castle|Docklands|Elm Park|Ferry Gate|Granary|Highfield|Ivy Bridge|"
                    "Junction|Kings Court|Lakeview|Mill End|Newtown|Opera|Pier Nine|Quarry|Rosewood|Summit|Town "
                    "Hall|Upland|Victoria|Watermill|Yard|Zoo|Art School|Brewery|Canal|Depot|Exchange|Forum|"
                    "Gasworks|Hospital|Island"
                ),
            ),
            ref("line", "on the", "have"),
            category("zone", "in the zone {}", "inner|middle|outer"),
            number(
                "platforms",
                (1, 8),
                phrase="number of platforms",
                adds=True,
                words=("with more than {} platforms", "with fewer than {} platforms", "", ""),
            ),
            number(
                "daily_riders",
                (200, 42000),
                100,
                phrase="daily ridership",
                adds=True,
                words=("", "", "busiest", "quietest"),
            ),
        ),
    ),
)

HOTEL_GROUP = Schema(
    id="hotel_group",
    tables=(
        table(
            "hotel",
            "hotels",
            12,
            label(
                "name",
                names(
                    "Grand Vista|Sea Breeze|The Crown|Parkside|Alpine Lodge|Metropole|Garden Inn|Old Town House|"
                    "Palm Court|Station Hotel|Riviera|The Anchor"
                ),
            ),
            category("city", "in {}", CITIES, plural="cities"),
            number(
                "stars",
                (2, 5),
                phrase="number of stars",
                words=("with more than {} stars", "with fewer than {} stars", "", ""),
            ),
            number(
                "rooms",
                (18, 320),
                2,
                phrase="number of rooms",
                adds=True,
                words=("with more than {} rooms", "with fewer than {} rooms", "largest", "smallest"),
            ),
        ),
        replace(
            table(
                "reservation",
                "reservations",
                50,
                ref("hotel", "for the", "have received"),
                category("channel", "made through the channel {}", "web|phone|agency|walk-in"),
                date("check_in", "due", (2022, 2023), "check-in date"),
                number(
                    "nights",
                    (1, 14),
                    phrase="number of nights",
                    adds=True,
                    words=("with more than {} nights", "with fewer than {} nights", "longest", "shortest"),
                ),
                number("nightly_rate", (55, 420), 5, phrase="nightly rate"),
                number("guest_rating", (1, 10), phrase="guest rating").nullable(
                    "without a guest rating", "with a guest rating", 0.3
                ),
            ),
            product=("nights", "nightly_rate", "revenue"),
        ),
    ),
)

ZOO = Schema(
    id="zoo",
    tables=(
        table(
            "keeper",
            "keepers",
            11,
            label("name", people("zoo", 11)),
            category("shift", "on the {} shift", "morning|evening|night"),
            date("hired_on", "hired", (2009, 2022), "hiring date"),
        ),
        table(
            "animal",
            "animals",
            44,
            label(
                "name",
                names(
                    "Kibo|Luna|Simba|Nala|Pebble|Rocky|Tango|Coco|Milo|Zuri|Bruno|Misty|Rio|Shadow|Ginger|Otto|"
                    "Pepper|Sunny|Tiger Lily|Ursa|Willow|Ziggy|Amber|Biscuit|Chip|Dakota|Echo|Fern|Gizmo|Hazel|"
                    "Indigo|Jasper|Kiwi|Lotus|Maple|Nemo|Olive|Pablo|Quill|Raja|Storm|Toffee|Uma|Violet|Waffle"
                ),
            ),
            ref("keeper", "cared for by", "care for"),
            category("species", "of the species {}", "lion|penguin|otter|zebra|lemur", plural="species"),
            number(
                "weight_kg",
                (2, 380),
                2,
                phrase="weight in kilograms",
                adds=True,
                words=("heavier than {} kilograms", "lighter than {} kilograms", "heaviest", "lightest"),
            ),
            date("born_on", "born", (2005, 2023), "birth date"),
            text("medicine", "medicine", "without a medicine", "with a medicine", "vitamins|antibiotics|eye drops"),
        ),
    ),
)
