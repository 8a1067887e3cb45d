"""The functions of the built-in data, what they mean, and the sentences that express them.

In a frame, `{name}` is the thing's name, `{noun}` its kind, `{says}` joined verb phrases ("is cheap and has a pool"),
`{asks}` joined questions, `{false}` a verb phrase for a value that is not gold's. Frames of different functions never
give the same sentence (a test draws thousands). No outside source; Apache-2.0.
"""

from __future__ import annotations

FUNCTIONS = {
    "describe": "facts",
    "verify": "are these facts true?",
    "search": "wants one, unnamed",
    "ask": "wants attributes, left []",
    "recommend": "take it",
    "reject": "not this one",
    "correct": "a claim is false, only the truth",
}

FRAMES = {
    "describe": (
        "{name} {says}.",
        "{name} is a {noun} that {says}.",
        "Here is what I know about {name}: it {says}.",
        "The {noun} {name} {says}.",
        "Let me tell you about {name}. It {says}.",
        "As everybody knows, {name} {says}.",
    ),
    "verify": (
        "{name} {says}, right?",
        "Am I right that {name} {says}?",
        "Is it true that {name} {says}?",
        "Somebody said {name} {says}. Can you confirm that?",
        "Just checking: is {name} the {noun} that {says}?",
        "So {name} {says}, doesn't it?",
    ),
    "search": (
        "I'm looking for a {noun} that {says}.",
        "Do you know a {noun} which {says}?",
        "Find me a {noun} that {says}, please.",
        "Is there any {noun} that {says}?",
        "What I need is a {noun} that {says}.",
        "We want something new, a {noun} which {says}.",
    ),
    "ask": (
        "Can you tell me {asks}? I mean {name}.",
        "About {name}: I would like to know {asks}.",
        "I wonder {asks}. It is {name} I am thinking of.",
        "For {name}, please look up {asks}.",
        "Do you happen to know {asks}, for {name}?",
    ),
    "recommend": (
        "You should go for {name}, since it {says}.",
        "If I were you, I'd take {name}: it {says}.",
        "Try {name}! It {says}.",
        "My advice is {name}, a {noun} that {says}.",
        "You can't go wrong with {name}, which {says}.",
    ),
    "reject": (
        "No thanks, {name} {says}.",
        "I'll pass on {name} because it {says}.",
        "Not {name}, please. It {says}.",
        "{name} is out of the question for me, as it {says}.",
        "Cross {name} off the list; it {says}.",
    ),
    "correct": (
        "You said that {name} {false}, but it {says}.",
        "That's wrong: {name} {says}. It is not so that it {false}.",
        "Whoever told you that {name} {false} made a mistake. It {says}.",
        "No, no. {name} {says}; nobody can claim that it {false}.",
    ),
}

CHATTER = (
    "Good morning!",
    "Sorry for the late reply.",
    "My sister called about this yesterday.",
    "We talked about something else last time.",
    "Hope you had a nice weekend.",
    "I have been thinking about it all day.",
    "It is raining here, by the way.",
    "My train leaves in ten minutes.",
    "Thanks for your patience.",
    "My friends keep teasing me about that.",
    "Okay, one more thing.",
    "Where was I?",
)
