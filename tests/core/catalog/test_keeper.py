from core.catalog.keeper import Keeper


def test_what_is_kept_holds_under_its_mark_only() -> None:
    keeper, made = Keeper(2), []

    def make(value: str) -> str:
        made.append(value)
        return value

    assert keeper.get(("a",), (1,), lambda: make("first")) == "first"
    assert keeper.get(("a",), (1,), lambda: make("never")) == "first"
    assert keeper.get(("a",), (2,), lambda: make("second")) == "second"
    assert made == ["first", "second"]


def test_the_one_that_was_asked_for_least_recently_goes_first() -> None:
    keeper = Keeper(2)
    for place in ("a", "b", "a", "c"):
        keeper.get((place,), (1,), lambda place=place: place)
    assert keeper.get(("a",), (1,), lambda: "anew") == "a"
    assert keeper.get(("b",), (1,), lambda: "anew") == "anew"
