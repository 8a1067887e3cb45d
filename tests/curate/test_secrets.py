"""What looks like a secret is found by its kind, and nothing shows it whole."""

from __future__ import annotations

import pytest

from harness.curate.finding import excerpt
from harness.curate.page import markdown, page
from harness.curate.secrets import masked, secrets
from tests.curate.planted import report
from tests.curate.test_planted_faults import asked

# None of these is a real secret: they are published examples, or made here.
SECRETS = [
    ("AWS key", "AKIAIOSFODNN7EXAMPLE"),
    ("GitHub token", "ghp_" + "a1B2c3D4e5" * 4),
    ("API key", "sk-proj-" + "aB3dE5gH7j" * 4),
    ("Hugging Face token", "hf_" + "aBcDeFgHiJ" * 3 + "kLmN"),
    ("Google key", "AIza" + "Sy4_x9Qw2E" * 3 + "rT5uI"),
    ("Slack token", "xoxb-123456789012-abcdefABCDEF"),
    ("JSON web token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"),
    ("password in a URL", "postgres://admin:hunter2secret@db.example.com"),
    ("password", "password = 'correct7horse'"),
    ("private key", "-----BEGIN RSA PRIVATE KEY-----MIIEowIBAAKCAQEA7-----END RSA PRIVATE KEY-----"),
    ("random token", "q7Rk2vXp9LmZ4tYw8NcB3sHd6JfG1aQeUo5i"),
    ("e-mail address", "jane.doe@example.com"),
    ("card number", "4111 1111 1111 1111"),
    ("account number (IBAN)", "GB82 WEST 1234 5698 7654 32"),
    ("social security number", "078-05-1120"),
    ("phone number", "+49 30 1234 5678"),
    ("phone number", "(555) 010-4477"),
]
HARMLESS = [
    "SELECT count(*) FROM singer WHERE country = 'France'",
    "1234567890123456",
    "The score was 21-14-35 in 2012-2013, attendance 60,522,100",
    "d41d8cd98f00b204e9800998ecf8427e",
    "CREATE TABLE table_2_17104991_6 (score VARCHAR, record VARCHAR)",
    "What is the password policy of the bank?",
    "inform(name[The Elder Scrolls V: Skyrim], esrb[M (for Mature)])",
    "16 - 3 = 13, then 13 / 2 = 6.5 and 100 * 1.05 = 105",
    "a/very/long/path/of/many/short/words/that/is/no/secret/at/all",
    "2015-06-07 12:30:45",
]


@pytest.mark.parametrize(("kind", "text"), SECRETS)
def test_a_secret_is_found_by_its_kind_and_masked(kind: str, text: str) -> None:
    sentence = f"Please use {text} today."
    assert kind in {secret.kind for secret in secrets(sentence)}
    assert text not in masked(sentence)
    assert text not in excerpt(sentence)


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_is_no_secret(text: str) -> None:
    assert secrets(text) == []
    assert masked(text) == text


@pytest.mark.parametrize(("kind", "text"), SECRETS)
def test_no_file_of_the_report_shows_a_secret_whole(kind: str, text: str) -> None:
    told = report(train=(asked(f"Which door does {text} open for the man?", f"open {text}", id=f"id {text}"),))
    files = page(told) + markdown(told).replace("\\", "") + repr(told.findings)
    assert text not in files
    assert kind in files
