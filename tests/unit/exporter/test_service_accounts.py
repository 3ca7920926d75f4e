"""How often the API server is asked for the review of a token."""

import pytest

from tuning_exporter.service_accounts import ServiceAccounts


class Reviews:
    """An API server that knows tokens, and counts what it is asked."""

    def __init__(self, **known: str) -> None:
        self.known, self.asked = known, list[str]()

    async def review_token(self, token: str, audience: str) -> str | None:
        self.asked.append(token)
        return self.known.get(token.replace(".", "_"))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def accounts(reviews: Reviews, clock: Clock) -> ServiceAccounts:
    return ServiceAccounts(reviews, "tuning-exporter", clock)  # type: ignore[arg-type]


async def test_an_answer_holds_for_a_while() -> None:
    reviews, clock = Reviews(a_b_c="system:serviceaccount:team:robot"), Clock()
    known = accounts(reviews, clock)
    for now in (0, 29, 31):
        clock.now = now
        assert await known.namespace_of("a.b.c") == "team"
    for now in (31, 35, 37):
        clock.now = now
        assert await known.namespace_of("x.y.z") is None
    assert reviews.asked == ["a.b.c", "a.b.c", "x.y.z", "x.y.z"]


@pytest.mark.parametrize(
    "user", ["admin", "system:node:a:b", "system:serviceaccount:team", "system:serviceaccount::robot", ""]
)
async def test_a_user_that_is_no_service_account_speaks_for_no_namespace(user: str) -> None:
    assert await accounts(Reviews(a_b_c=user), Clock()).namespace_of("a.b.c") is None


async def test_what_is_no_token_of_an_account_is_not_asked_about() -> None:
    reviews = Reviews()
    for token in ("", "secret", "a.b", "a.b.c.d"):
        assert await accounts(reviews, Clock()).namespace_of(token) is None
    assert reviews.asked == []
