"""The schema of ViGGO: its functions with their meaning and its attributes in the order that every gold follows.

Source: Juraska, Bowden, Walker 2019, "ViGGO: A Video Game Corpus for Data-To-Text Generation in Open-Domain
Conversation", https://aclanthology.org/W19-8623/, https://nlds.soe.ucsc.edu/viggo, CC BY-SA 4.0. The meanings are ours,
from the paper's section 3. The order is that of the release: no two attributes ever swap places in its 6,900 rows.
"""

from __future__ import annotations

HUB = ("GEM/viggo", "8142f10b20b6bf0c2a0bed0e91c1df5efc8ab75e")
LICENCE = "CC BY-SA 4.0"
FUNCTIONS = {
    "inform": "gives facts about a game",
    "confirm": "asks if a certain game is meant",
    "give_opinion": "says what the speaker thinks of a game",
    "recommend": "asks if the listener knows or tried a game",
    "request": "asks the listener to name a game of some kind",
    "request_attribute": "asks if the listener likes an attribute, left empty []",
    "request_explanation": "asks why the listener holds an opinion",
    "suggest": "asks if the listener likes games such as this one",
    "verify_attribute": "checks an opinion the listener gave earlier",
}
_YES_NO = "yes/no"
SLOTS = {
    "name": "",
    "exp_release_date": "",
    "release_year": "",
    "developer": "",
    "esrb": "E (for Everyone)/E 10+ (for Everyone 10 and Older)/T (for Teen)/M (for Mature)",
    "rating": "poor/average/good/excellent",
    "genres": "",
    "player_perspective": "first person/third person/side view/bird view",
    "has_multiplayer": _YES_NO,
    "platforms": "",
    "available_on_steam": _YES_NO,
    "has_linux_release": _YES_NO,
    "has_mac_release": _YES_NO,
    "specifier": "",
}
