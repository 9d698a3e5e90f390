"""Tables on a screen that is too narrow for them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubectl_vmetrics.output import table
from kubectl_vmetrics.output.fit import fit, shorten

HEADERS = ["NAMESPACE", "NAME", "CPU(cores)", "%CPU/R", "NODE", "HOST-NAME"]
ROWS = [
    [
        "team-a",
        "recommendations-for-the-landing-page-s995fb8pbb-wqp6g",
        "293m",
        "116%",
        "worker-1",
        "recommend-a91dd1ef64",
    ],
    ["team-a", "orders-db-0", "146m", "-", "worker-2", "orders-db-0-x-shop-x-shop"],
]
SUM = [["", "", "________"], ["", "", "439m"]]


def shown(width: int) -> list[str]:
    headers, rows, footer = fit(HEADERS, ROWS, SUM, width, ["HOST-NAME", "NODE"])
    return [line.rstrip() for line in table.render(rows, headers, footer).splitlines()]


def test_what_fits_stays() -> None:
    assert fit(HEADERS, ROWS, SUM, 126, ["HOST-NAME", "NODE"]) == (HEADERS, ROWS, SUM)


def test_what_a_view_can_spare_is_shortened_first() -> None:
    assert shown(119) == [
        "NAMESPACE   NAME                                                    CPU(cores)   %CPU/R   NODE       HOST-NAME",
        "team-a      recommendations-for-the-landing-page-s995fb8pbb-wqp6g   293m         116%     worker-1   recommend…1dd1ef64",
        "team-a      orders-db-0                                             146m         -        worker-2   orders-db…p-x-shop",
        "                                                                    ________",
        "                                                                    439m",
    ]


def test_then_it_is_left_out() -> None:
    assert shown(100) == [
        "NAMESPACE   NAME                                                    CPU(cores)   %CPU/R   NODE",
        "team-a      recommendations-for-the-landing-page-s995fb8pbb-wqp6g   293m         116%     worker-1",
        "team-a      orders-db-0                                             146m         -        worker-2",
        "                                                                    ________",
        "                                                                    439m",
    ]


def test_then_the_name_loses_its_middle() -> None:
    assert shown(60) == [
        "NAMESPACE   NAME                         CPU(cores)   %CPU/R",
        "team-a      recommendatio…fb8pbb-wqp6g   293m         116%",
        "team-a      orders-db-0                  146m         -",
        "                                         ________",
        "                                         439m",
    ]


def test_other_text_gives_way_before_names() -> None:
    rows = [["kube-system-of-old", "coredns-zs4s9vtqvn-zfh4l-abcdef", "1m"]]
    assert fit(["NAMESPACE", "NAME", "CPU"], rows, [], 52)[1] == [
        ["kube-s…f-old", "coredns-zs4s9vtqvn-zfh4l-abcdef", "1m"]
    ]
    assert fit(["NAMESPACE", "NAME", "CPU"], rows, [], 45)[1] == [["kube-s…f-old", "coredns-zs4s…fh4l-abcdef", "1m"]]


def test_a_table_that_cannot_fit_stays_as_it_is() -> None:
    headers, rows, footer = fit(HEADERS, ROWS, SUM, 55, ["HOST-NAME", "NODE"])
    assert (headers, rows, footer) == (HEADERS, ROWS, SUM)


def test_text_that_a_view_cannot_spare_stays() -> None:
    rows = [["dev", "12%", "2 of controller-manager lead at the same time"]]
    headers, shown, _ = fit(["NAME", "ERR(%)", "PROBLEM"], rows, [], 40)
    assert (headers, shown) == (["NAME", "ERR(%)", "PROBLEM"], [["dev", "12%", "2 of control…e same time"]])


def test_both_ends_of_a_name_stay() -> None:
    assert [shorten("recommendations-wqp6g", size) for size in (21, 20, 12, 2)] == [
        "recommendations-wqp6g",
        "recommenda…ons-wqp6g",
        "recomm…wqp6g",
        "r…",
    ]


NUMBER = st.sampled_from(
    ["0m", "12m", "3214m", "<unknown>", "<none>", "-", "~83%", "8.7Ki/s", "5.0%", "171Mi", "1 (0)"]
)
WORD = st.from_regex(r"[a-z]{3}([-a-z0-9]{0,60}[a-z0-9])?", fullmatch=True)


@given(st.integers(1, 250), st.lists(st.tuples(WORD, NUMBER, NUMBER, WORD, NUMBER, WORD), min_size=1, max_size=9))
def test_numbers_stay_and_lines_fit_where_text_can_give_way(width: int, rows: list[tuple[str, ...]]) -> None:
    heads = ["NAME", "A", "B", "NODE", "C", "OTHER"]
    headers, shown, _ = fit(heads, rows, [], width, ["OTHER", "NODE"])
    for row, before in zip(shown, rows, strict=True):
        assert [row[headers.index(column)] for column in "ABC"] == [before[1], before[2], before[4]]
    longest = max(len(line.rstrip()) for line in table.render(shown, headers).splitlines())
    assert longest <= width or (headers, shown) == (heads, [tuple(row) for row in rows])


def test_where_lines_are_cut_names_give_way_before_numbers_do() -> None:
    assert fit(HEADERS, ROWS, SUM, 50, ["HOST-NAME", "NODE"]) == (HEADERS, ROWS, SUM)

    headers, rows, footer = fit(HEADERS, ROWS, SUM, 50, ["HOST-NAME", "NODE"], cut=True)

    assert [line.rstrip() for line in table.render(rows, headers, footer).splitlines()] == [
        "NAMESPACE   NAME               CPU(cores)   %CPU/R",
        "team-a      recommen…b-wqp6g   293m         116%",
        "team-a      orders-db-0        146m         -",
        "                               ________",
        "                               439m",
    ]


def test_a_column_of_numbers_stays_even_if_a_view_would_spare_it() -> None:
    headers = ["NAME", "VERSION", "USED", "CPU(core-h)", "TREND"]
    rows = [
        ["a-name-of-some-length", "0.37.0", "12.5", "1,204.25 core-h", "▁▂▃▄▅▆▇█▁▂▃▄▅▆▇█"],
        ["b", "<none>", "-", "0", ""],
    ]
    for width in (30, 45, 60):
        found = fit(headers, rows, [], width, ["TREND", "USED", "CPU(core-h)", "VERSION"], cut=True)
        shown = " ".join(" ".join(row) for row in found[1])
        assert "12.5" in shown
        assert "1,204.25 core-h" in shown
