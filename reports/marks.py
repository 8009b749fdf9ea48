"""One convention of marks, for tables in every format and for the page: who is best in a column, and how sure that is.

Bold is the best and significantly better than each other one; a dagger stands beside the best ones that cannot be told
apart; underlined is second. May import nothing.
"""

from __future__ import annotations

TIE = "†"
SENTENCE = (
    "bold is the best and significantly better than each other one; a dagger marks the best ones that cannot be told "
    "apart, a tie group; underlined is second, with those not told apart from it"
)
WORDS = {
    "best": "bold: best, significantly better than every other",
    "tie": "dagger: one of the best, which cannot be told apart",
    "second": "underlined: second",
}
"""What each mark says, for a legend."""
