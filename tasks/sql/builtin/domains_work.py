"""Schemas about work, learning and money. Each is one value; the words read well after the plural noun."""

from __future__ import annotations

from tasks.sql.builtin.pools import US_CITIES, codes, names, people
from tasks.sql.builtin.schema import Schema, category, date, label, number, ref, table, text

AGE_WORDS = ("older than {}", "younger than {}", "oldest", "youngest")

UNIVERSITY = Schema(
    id="university",
    tables=(
        table(
            "student",
            "students",
            18,
            label("name", people("university", 18)),
            category("major", "with the major {}", "Biology|Physics|History|Economics"),
            number(
                "credits",
                (10, 180),
                5,
                phrase="number of credits",
                adds=True,
                words=("with more than {} credits", "with fewer than {} credits", "", ""),
            ),
            date("enrolled_on", "enrolled", (2018, 2023), "enrollment date"),
        ),
        table(
            "course",
            "courses",
            12,
            label(
                "title",
                names(
                    "Linear Algebra|Genetics|World History|Microeconomics|Optics|Statistics|Ethics|Databases|"
                    "Ecology|Modern Art|Thermodynamics|Public Policy"
                ),
            ),
            category("department", "in the department of {}", "Science|Humanities|Business"),
            number(
                "seats",
                (15, 200),
                5,
                phrase="number of seats",
                adds=True,
                words=("with more than {} seats", "with fewer than {} seats", "largest", "smallest"),
            ),
        ),
        table(
            "enrollment",
            "enrollments",
            50,
            ref("student", "of the", "have"),
            ref("course", "in the", "have"),
            category("term", "for the term {}", "spring|summer|fall"),
            number("grade", (1, 5), 0.5, phrase="grade").nullable("without a grade", "with a grade", 0.2),
        ),
    ),
)

COMPANY_HR = Schema(
    id="company_hr",
    tables=(
        table(
            "department",
            "departments",
            9,
            label("name", names("Sales|Marketing|Finance|Research|Legal|Support|Logistics|Design|Security")),
            category("location", "located in {}", "Zurich|London|Dublin"),
            number(
                "budget",
                (90000, 990000),
                10000,
                adds=True,
                words=("with a budget above {}", "with a budget below {}", "", ""),
            ),
        ),
        table(
            "employee",
            "employees",
            46,
            label("name", people("company_hr", 46)),
            ref("department", "working in the", "have"),
            category("job", "with the job {}", "analyst|engineer|assistant|manager", phrase="job"),
            number(
                "salary",
                (31000, 128000),
                500,
                adds=True,
                words=("earning more than {}", "earning less than {}", "best paid", "worst paid"),
            ),
            date("hired_on", "hired", (2012, 2023), "hiring date"),
            number("bonus", (500, 9000), 250, adds=True).nullable("without a bonus", "with a bonus", 0.3),
        ),
    ),
)

RESEARCH_LAB = Schema(
    id="research_lab",
    tables=(
        table(
            "scientist",
            "scientists",
            13,
            label("name", people("research_lab", 13)),
            category("field", "in the field {}", "chemistry|genomics|robotics|materials"),
            number(
                "papers",
                (2, 140),
                phrase="number of papers",
                adds=True,
                words=("with more than {} papers", "with fewer than {} papers", "", ""),
            ),
        ),
        table(
            "experiment",
            "experiments",
            44,
            label("code", codes("EX-", 300, 44)),
            ref("scientist", "led by", "have led"),
            category("status", "with the status {}", "planned|running|finished|failed", plural="statuses"),
            number(
                "duration_h",
                (2, 160),
                2,
                phrase="duration in hours",
                adds=True,
                words=("longer than {} hours", "shorter than {} hours", "longest", "shortest"),
            ),
            number(
                "cost",
                (100, 24000),
                100,
                adds=True,
                words=("costing more than {}", "costing less than {}", "most expensive", "cheapest"),
            ),
            date("started_on", "started", (2020, 2023), "start date"),
        ),
    ),
)

SCHOOL = Schema(
    id="school",
    tables=(
        table(
            "teacher",
            "teachers",
            12,
            label("name", people("school teachers", 12)),
            category("subject", "teaching {}", "Math|Music|Chemistry|English"),
            number("age", (25, 66), words=AGE_WORDS),
        ),
        table(
            "pupil",
            "pupils",
            44,
            label("name", people("school pupils", 44)),
            ref("teacher", "taught by", "teach"),
            category("grade", "in grade {}", "sixth|seventh|eighth"),
            number("test_score", (22, 100), phrase="test score", words=("", "", "best", "worst")),
            number(
                "absences",
                (0, 21),
                phrase="number of absences",
                adds=True,
                words=("with more than {} absences", "with fewer than {} absences", "", ""),
            ),
            date("born_on", "born", (2009, 2013), "date of birth"),
            text("club", "club", "without a club", "with a club", "chess|choir|drama|robotics"),
        ),
    ),
)

BANK = Schema(
    id="bank",
    tables=(
        table(
            "client",
            "clients",
            14,
            label("name", people("bank", 14)),
            category("city", "living in {}", US_CITIES, plural="cities"),
            number(
                "income",
                (24000, 180000),
                1000,
                words=("with an income above {}", "with an income below {}", "richest", "poorest"),
            ),
        ),
        table(
            "account",
            "accounts",
            24,
            label("number", codes("AC", 7000, 24), phrase="account number"),
            ref("client", "owned by", "own"),
            category("type", "of the type {}", "checking|savings|business", phrase="account type"),
            number(
                "balance",
                (-400, 28000),
                50,
                adds=True,
                words=("with a balance above {}", "with a balance below {}", "", ""),
            ),
            date("opened_on", "opened", (2011, 2022), "opening date"),
        ),
        table(
            "transfer",
            "transfers",
            48,
            ref("account", "sent from the", "have sent"),
            number("amount", (5, 4200), 5, adds=True, words=("", "", "largest", "smallest")),
            category("purpose", "for the purpose {}", "rent|groceries|travel|savings"),
            date("sent_on", "sent", (2022, 2023), "transfer date"),
        ),
    ),
)

FARM = Schema(
    id="farm",
    tables=(
        table(
            "field",
            "fields",
            11,
            label(
                "name",
                names(
                    "North Forty|Creek Side|Hilltop|Barn Field|Long Acre|Stony End|Windmill|Sunny Slope|Bottom "
                    "Land|Fox Hollow|Church Field"
                ),
            ),
            category("soil", "with the soil type {}", "clay|loam|sand", phrase="soil type"),
            number(
                "hectares",
                (1, 48),
                0.5,
                phrase="size in hectares",
                adds=True,
                words=("larger than {} hectares", "smaller than {} hectares", "largest", "smallest"),
            ),
        ),
        table(
            "harvest",
            "harvests",
            48,
            ref("field", "from the", "have produced"),
            category("crop", "of the crop {}", "wheat|barley|potatoes|rapeseed"),
            number(
                "tons",
                (1, 120),
                0.5,
                phrase="yield in tons",
                adds=True,
                words=("above {} tons", "below {} tons", "largest", "smallest"),
            ),
            number("moisture", (9, 24), 0.5, phrase="moisture"),
            date("harvested_on", "finished", (2018, 2023), "harvest date"),
        ),
    ),
)

NEWSPAPER = Schema(
    id="newspaper",
    tables=(
        table(
            "journalist",
            "journalists",
            12,
            label("name", people("newspaper", 12)),
            category("desk", "at the {} desk", "Politics|Sports|Culture|Science"),
            date("started_on", "hired", (2005, 2022), "starting date"),
        ),
        table(
            "article",
            "articles",
            44,
            label(
                "headline",
                names(
                    "Bridge Reopens|Council Votes on Parks|Storm Hits Coast|New Stadium Plans|Museum Wins Prize|"
                    "Rents Keep Rising|School Meals Change|Team Reaches Final|Bus Fares Frozen|River Cleaned|"
                    "Startup Expands|Old Mill Restored|Festival Returns|Budget Approved|Star Retires|Vaccine "
                    "Trial Begins|Farmers Protest|Rare Comet Seen|Library Extended|Harbor Closed|Mayor Resigns|"
                    "Record Heat|Market Moves|Tunnel Delayed|Choir on Tour|Solar Park Opens|Strike Ends|Bakery "
                    "Turns 100|Road Works Start|Coach Fired|Book Fair Opens|Ice Rink Saved|Power Cut|Zoo "
                    "Welcomes Panda|Court Rules on Noise|Marathon Sold Out|Ferry Timetable|Data Leak|Village "
                    "Votes|Cinema Closes|Bees Return|Chess Champion|Trains Late|Art Stolen"
                ),
            ),
            ref("journalist", "written by", "have written"),
            category("section", "in the section {}", "Local|World|Sports|Opinion"),
            number(
                "words",
                (120, 2400),
                20,
                phrase="word count",
                adds=True,
                words=("with more than {} words", "with fewer than {} words", "longest", "shortest"),
            ),
            number(
                "views",
                (100, 68000),
                100,
                phrase="number of views",
                adds=True,
                words=("viewed more than {} times", "viewed less than {} times", "most viewed", "least viewed"),
            ),
            date("published_on", "published", (2021, 2023), "publication date"),
        ),
    ),
)

INSURANCE = Schema(
    id="insurance",
    tables=(
        table(
            "holder",
            "policy holders",
            14,
            label("name", people("insurance", 14)),
            category("state", "living in {}", "Ohio|Texas|Nevada|Maine|Oregon"),
            number("age", (20, 82), words=AGE_WORDS),
            noun="policy holder",
        ),
        table(
            "policy",
            "policies",
            24,
            label("number", codes("P-", 5100, 24), phrase="policy number"),
            ref("holder", "held by", "hold"),
            category("kind", "of the kind {}", "auto|home|life|travel", phrase="policy kind"),
            number(
                "premium",
                (90, 2200),
                10,
                adds=True,
                words=("with a premium above {}", "with a premium below {}", "most expensive", "cheapest"),
            ),
        ),
        table(
            "claim",
            "claims",
            44,
            ref("policy", "filed under the", "have"),
            number(
                "amount",
                (80, 19000),
                20,
                adds=True,
                words=("with an amount above {}", "with an amount below {}", "largest", "smallest"),
            ),
            category("status", "with the status {}", "open|paid|rejected", plural="statuses"),
            date("filed_on", "filed", (2021, 2023), "filing date"),
        ),
    ),
)
