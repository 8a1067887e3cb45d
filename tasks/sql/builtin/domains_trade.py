"""Schemas about buying, selling and making. Each is one value; the words are chosen to read well after the plural
noun."""

from __future__ import annotations

from dataclasses import replace

from tasks.sql.builtin.pools import CITIES, COUNTRIES, US_CITIES, codes, names, people
from tasks.sql.builtin.schema import Schema, category, date, label, number, ref, table, text

PRICE_WORDS = ("costing more than {}", "costing less than {}", "most expensive", "cheapest")

BOOKSHOP = Schema(
    id="bookshop",
    tables=(
        table(
            "author",
            "authors",
            14,
            label("name", people("bookshop", 14)),
            category("country", "from {}", "Japan|Canada|Ireland|Brazil|Germany|Nigeria"),
            number("birth_year", (1931, 1994), words=("born after {}", "born before {}", "youngest", "oldest")),
        ),
        table(
            "book",
            "books",
            42,
            label(
                "title",
                names(
                    "The Glass Harbor|Winter Orchard|A Map of Rain|Salt and Ember|The Quiet Engine|Paper "
                    "Lanterns|Northern Lights|"
                    "The Last Ferry|Blue Monday|City of Bells|The Beekeeper|Small Hours|Stone Garden|The Long "
                    "Table|Copper Sky|"
                    "River Songs|The Night Library|Second Spring|Open Water|The Cartographer|Silver Street|Ash "
                    "and Ivy|The Red Kite|"
                    "House of Clocks|Distant Shores|The Orange Tree|Morning Train|Hidden Rooms|The Wolf Year|Low "
                    "Tide|Letters Home|"
                    "The Weather Man|Black Tulips|Tin Soldiers|The Ninth Wave|Half a Moon|Dust Roads|The Violin "
                    "Case|Far Meadow|"
                    "Ink and Iron|The Empty Chair|Lost Causes|Evening Star"
                ),
            ),
            ref("author", "written by", "have written"),
            category("genre", "in the genre {}", "Mystery|Fantasy|Poetry|History|Romance"),
            number("price", (6, 39.5), 0.5, words=PRICE_WORDS),
            number(
                "pages",
                (90, 820),
                10,
                phrase="page count",
                words=("with more than {} pages", "with fewer than {} pages", "longest", "shortest"),
            ),
            date("published_on", "published", (2014, 2023), "publication date"),
        ),
    ),
)

WEB_STORE = Schema(
    id="web_store",
    tables=(
        table(
            "customer",
            "customers",
            16,
            label("name", people("web_store", 16)),
            category("city", "living in {}", CITIES, plural="cities"),
            text(
                "email",
                "email address",
                "without an email address",
                "with an email address",
                "mail@one.example|hello@two.example|info@three.example|contact@four.example",
            ),
            date("joined_on", "registered", (2018, 2022), "registration date"),
        ),
        table(
            "product",
            "products",
            18,
            label(
                "name",
                names(
                    "Desk Lamp|Oak Chair|Travel Mug|Wall Clock|Rain Jacket|Yoga Mat|Tea Kettle|Phone Stand|Wool "
                    "Blanket|Bike Light|Cutting Board|Backpack|Notebook Set|Water Filter|Garden Hose|Floor Rug|"
                    "Hand Mixer|Tool Box|Picture Frame"
                ),
            ),
            category("category", "in the category {}", "Kitchen|Garden|Office|Outdoor", plural="categories"),
            number("price", (5, 180), 2.5, words=PRICE_WORDS),
            number("stock", (0, 240), 5, phrase="stock level", adds=True),
        ),
        replace(
            table(
                "purchase",
                "purchases",
                48,
                ref("customer", "made by", "have made"),
                ref("product", "of", "appear in"),
                number("quantity", (1, 12), phrase="quantity", adds=True),
                number("discount", (0, 30), 5, phrase="discount"),
                date("bought_on", "made", (2020, 2023), "purchase date"),
            ),
        ),
    ),
)

FURNITURE_FACTORY = Schema(
    id="furniture_factory",
    tables=(
        table(
            "supplier",
            "suppliers",
            12,
            label(
                "name",
                names(
                    "Nordwood|Timberline|Alpine Mills|Baltic Board|Oakridge|Polar Steel|Delta Foam|Fine Fabrics|"
                    "Hansa Glass|Evergreen|Rivet Works|Cedar and Sons"
                ),
            ),
            category("country", "based in {}", "Sweden|Poland|Austria|Finland|Estonia", plural="countries"),
            number(
                "rating",
                (1, 5),
                0.5,
                phrase="rating",
                words=("rated above {}", "rated below {}", "best rated", "worst rated"),
            ),
        ),
        replace(
            table(
                "delivery",
                "deliveries",
                45,
                ref("supplier", "sent by", "have sent"),
                category("material", "of the material {}", "Oak|Pine|Steel|Foam|Glass"),
                number(
                    "weight_kg",
                    (20, 950),
                    10,
                    phrase="weight in kilograms",
                    adds=True,
                    words=(
                        "weighing more than {} kilograms",
                        "weighing less than {} kilograms",
                        "heaviest",
                        "lightest",
                    ),
                ),
                number("price_per_kg", (0.5, 9), 0.5, phrase="price per kilogram"),
                date("arrived_on", "received", (2021, 2023), "arrival date").nullable(
                    "not yet received", "already received", 0.2
                ),
            ),
            product=("weight_kg", "price_per_kg", "cost"),
        ),
    ),
)

CAR_RENTAL = Schema(
    id="car_rental",
    tables=(
        table(
            "car",
            "cars",
            18,
            label("plate", codes("KX-", 410, 18), phrase="plate", plural="plates"),
            category("brand", "of the brand {}", "Toyota|Ford|Volvo|Kia|Fiat"),
            category("fuel", "running on {}", "petrol|diesel|electricity", phrase="fuel type"),
            number(
                "daily_rate",
                (28, 120),
                2,
                phrase="daily rate",
                words=("with a daily rate above {}", "with a daily rate below {}", "most expensive", "cheapest"),
            ),
            number(
                "model_year",
                (2012, 2023),
                phrase="model year",
                words=("built after {}", "built before {}", "newest", "oldest"),
            ),
        ),
        table(
            "renter",
            "renters",
            15,
            label("name", people("car_rental", 15)),
            category("city", "from {}", US_CITIES, plural="cities"),
            number("age", (19, 74), words=("older than {}", "younger than {}", "oldest", "youngest")),
        ),
        table(
            "rental",
            "rentals",
            46,
            ref("car", "of", "are used in"),
            ref("renter", "made by", "have made"),
            date("start_date", "started", (2021, 2023)),
            number(
                "days",
                (1, 21),
                phrase="length in days",
                adds=True,
                words=("lasting more than {} days", "lasting less than {} days", "longest", "shortest"),
            ),
            number("deposit", (100, 600), 50, adds=True),
        ),
    ),
)

REAL_ESTATE = Schema(
    id="real_estate",
    tables=(
        table(
            "agent",
            "agents",
            11,
            label("name", people("real_estate", 11)),
            category("office", "working in the {} office", "Downtown|Harbor|Hillside|Airport"),
            number("commission", (1, 4), 0.25, phrase="commission rate"),
            date("hired_on", "hired", (2010, 2022), "hiring date"),
        ),
        table(
            "home",
            "homes",
            44,
            label(
                "address",
                [
                    f"{n} {s}"
                    for n, s in zip(
                        range(12, 320, 7),
                        ("Elm Street", "Lake Road", "Mill Lane", "Park Avenue", "Church Street", "Station Road") * 8,
                        strict=False,
                    )
                ],
                plural="addresses",
            ),
            ref("agent", "listed by", "have listed"),
            category("type", "of the type {}", "apartment|house|studio|villa", phrase="home type"),
            number(
                "bedrooms",
                (1, 6),
                phrase="number of bedrooms",
                words=("with more than {} bedrooms", "with fewer than {} bedrooms", "", ""),
            ),
            number("price", (95000, 890000), 5000, words=PRICE_WORDS),
            date("sold_on", "sold", (2020, 2023), "sale date").nullable("not yet sold", "already sold", 0.3),
        ),
    ),
)

COFFEE_SHOP = Schema(
    id="coffee_shop",
    tables=(
        table(
            "branch",
            "branches",
            10,
            label(
                "name",
                names(
                    "Old Mill|Riverside|Central|Station|Market Hall|University|Sunset|Harbor View|Castle Hill|Westgate"
                ),
            ),
            category("city", "in {}", "Leeds|York|Bath|Derby", plural="cities"),
            number(
                "seats",
                (12, 90),
                2,
                phrase="number of seats",
                adds=True,
                words=("with more than {} seats", "with fewer than {} seats", "largest", "smallest"),
            ),
        ),
        replace(
            table(
                "drink_order",
                "orders",
                50,
                ref("branch", "placed at the", "have received"),
                category("drink", "for the drink {}", "Latte|Espresso|Mocha|Chai|Cocoa"),
                category("size", "in the size {}", "small|medium|large"),
                number("cups", (1, 8), phrase="number of cups", adds=True),
                number("unit_price", (2, 6), 0.25, phrase="unit price"),
                date("ordered_on", "placed", (2022, 2023), "order date"),
                noun="order",
                key="order_id",
            ),
            product=("cups", "unit_price", "revenue"),
        ),
    ),
)

GROCERY_CHAIN = Schema(
    id="grocery_chain",
    tables=(
        table(
            "store",
            "stores",
            12,
            label(
                "name",
                names(
                    "Greenfield|Eastside Market|Corner Fresh|Valley Foods|Lakeshore|Sunrise|Main Street|Harvest|"
                    "Northgate|Orchard Park|Plaza|Bridgetown"
                ),
            ),
            category("region", "in the region {}", "North|South|East|West"),
            number(
                "area_m2",
                (200, 2400),
                50,
                phrase="floor area",
                adds=True,
                words=("larger than {} square meters", "smaller than {} square meters", "largest", "smallest"),
            ),
            date("opened_on", "opened", (1998, 2021), "opening date"),
        ),
        table(
            "worker",
            "workers",
            42,
            label("name", people("grocery_chain", 42)),
            ref("store", "employed at the", "employ"),
            category("position", "in the position of {}", "cashier|baker|butcher|manager|driver"),
            number(
                "hourly_wage",
                (12, 34),
                0.5,
                phrase="hourly wage",
                words=("earning more than {} an hour", "earning less than {} an hour", "best paid", "worst paid"),
            ),
            number("hours_per_week", (10, 40), 2, phrase="number of weekly hours", adds=True),
            text(
                "phone",
                "phone number",
                "without a phone number",
                "with a phone number",
                "555-0134|555-0178|555-0112|555-0190",
            ),
        ),
    ),
)

AUCTION_HOUSE = Schema(
    id="auction_house",
    tables=(
        table(
            "seller",
            "sellers",
            12,
            label("name", people("auction_house", 12)),
            category("country", "from {}", COUNTRIES, plural="countries"),
        ),
        table(
            "lot",
            "lots",
            40,
            label(
                "title",
                names(
                    "Brass Telescope|Persian Rug|Silver Teapot|Oak Cabinet|Harbor Painting|Jade Vase|Pocket "
                    "Watch|Marble Bust|Old Globe|Chess Set|Amber Necklace|Sea Chart|Violin|Glass Lamp|Wooden "
                    "Mask|Bronze Horse|Porcelain Plate|Music Box|Ivory Fan|Desk Clock|Copper Kettle|Stamp Album|"
                    "Gold Ring|Samurai Helmet|Piano Stool|Tin Robot|Crystal Bowl|Signed Poster|Writing Desk|Ship "
                    "Model|Pearl Brooch|Tapestry|Iron Gate|Radio Set|Toy Train|Coin Case|Leather Trunk|Snow "
                    "Globe|Map of Africa|Rocking Chair|Film Camera"
                ),
            ),
            ref("seller", "offered by", "have offered"),
            category("category", "in the category {}", "Furniture|Jewelry|Art|Toys|Instruments", plural="categories"),
            number("start_price", (20, 900), 10, phrase="starting price"),
            number("sold_price", (40, 2600), 20, phrase="selling price", adds=True).nullable(
                "without a selling price", "with a selling price", 0.2
            ),
            date("auctioned_on", "auctioned", (2019, 2023), "auction date"),
        ),
    ),
)
