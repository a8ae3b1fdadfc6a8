from fedvox.report.pages.html import byte_size, duration, escape, interval_bar, number, tint


def test_numbers_for_people():
    nan = float("nan")
    assert [byte_size(n) for n in (0, 999, 9.4e6, 2.5e9, 7e12, nan)] == [
        "0 B",
        "999 B",
        "9.4 MB",
        "2.5 GB",
        "7.0 TB",
        "–",
    ]
    assert [duration(s) for s in (1.26, 42, 190, 7500, nan)] == [
        "1.3 s",
        "42 s",
        "3 min 10 s",
        "2 h 05 min",
        "–",
    ]
    assert (number(0.12345), number(nan), number(3.25, 1)) == ("0.123", "–", "3.2")
    assert tint(nan) == interval_bar(nan, nan, nan) == ""
    assert escape("\"'<&>") == "&quot;&#x27;&lt;&amp;&gt;"
