"""Money as people state it."""

import pytest

from foresight.errors import RequestError
from foresight.price import Money, Price, compute_money, read_money, read_price


def test_an_amount_is_read_with_its_currency():
    assert read_price(" 2.10 eur") == Price(2.1, "EUR")
    assert read_money("50USD") == Money(50.0, "USD")
    assert compute_money(900, 4) == 1.0


@pytest.mark.parametrize("text", ["50", "USD 50", "-1 USD", "nan USD", "1e3 USD", ""])
def test_an_amount_without_its_currency_is_no_money(text):
    with pytest.raises(RequestError, match="is no amount of money; give it with a currency of three letters"):
        read_money(text)
