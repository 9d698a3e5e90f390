"""Rewriting Prometheus text, with prometheus_client's parser as the oracle."""

from __future__ import annotations

import tracemalloc
from collections import deque
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from kubectl_vmetrics.kube.errors import BadAnswer, TooLarge
from kubectl_vmetrics.metrics.exposition import Rewriter, escape, parse_block, unescape
from kubectl_vmetrics.metrics.samples import LARGEST, MOST, Reader
from kubectl_vmetrics.metrics.text import Checked


def rewritten(text: str | bytes, decide: object = lambda labels: {}, *, chunk: int = 1 << 20, **more: bool) -> str:
    data = text.encode() if isinstance(text, str) else text
    chunks = [data[start : start + chunk] for start in range(0, len(data), chunk)]
    return b"".join(Rewriter(decide, **more).rewrite(chunks)).decode("utf-8", "surrogateescape")


def rename(labels: Mapping[str, str]) -> Mapping[str, str] | None:
    if labels.get("pod", "").startswith("drop"):
        return None
    return {"pod": f"virtual-{labels['pod']}"} if "pod" in labels else {}


names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True).filter(lambda name: not name.startswith("__"))
values = st.text(
    st.sampled_from('ab\\"\n{},= #\u00e9\U0001f600') | st.characters(exclude_categories=["Cs"]), max_size=12
)
pods = st.sampled_from(["web-0", "drop-1", "", 'we"ird', "back\\slash", "new\nline", "} 1"])
label_sets = st.dictionaries(names.filter(lambda n: n != "pod"), values, max_size=4)
numbers = st.sampled_from(["0", "1", "1.5e+09", "NaN", "+Inf", "-3"])


@st.composite
def sample_sets(draw: st.DrawFn) -> list[tuple[str, dict[str, str], str, str]]:
    found = []
    for index in range(draw(st.integers(1, 6))):
        labels = draw(label_sets)
        if draw(st.booleans()):
            labels["pod"] = draw(pods)
        order = draw(st.permutations(list(labels)))
        stamp = draw(st.sampled_from(["", " 1795249655091"]))
        found.append((f"metric_{index % 3}", {name: labels[name] for name in order}, draw(numbers), stamp))
    return sorted(found, key=lambda sample: sample[0])


def write(samples: list[tuple[str, dict[str, str], str, str]]) -> str:
    lines, family = [], ""
    for name, labels, value, stamp in samples:
        if name != family:
            lines += [f"# HELP {name} of {{all}} kinds", f"# TYPE {name} gauge"]
            family = name
        block = ",".join(f'{key}="{escape(text).decode()}"' for key, text in labels.items())
        lines.append(f"{name}{{{block}}} {value}{stamp}" if labels else f"{name} {value}{stamp}")
    return "".join(f"{line}\n" for line in lines)


def parsed(text: str) -> list[tuple[str, dict[str, str], str, object]]:
    return [
        (sample.name, dict(sample.labels), str(sample.value), sample.timestamp)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


@settings(max_examples=300)
@given(sample_sets(), st.integers(1, 60))
def test_the_same_families_before_and_after_names_apart(
    samples: list[tuple[str, dict[str, str], str, str]], chunk: int
) -> None:
    text = write(samples)

    expected = []
    for name, labels, value, stamp in parsed(text):
        changes = rename(labels)
        if changes is not None:
            expected.append((name, {**labels, **changes}, value, stamp))

    assert parsed(rewritten(text, rename, chunk=chunk)) == expected


@settings(max_examples=300)
@given(sample_sets(), st.integers(1, 60))
def test_what_is_not_changed_is_copied_to_the_byte(
    samples: list[tuple[str, dict[str, str], str, str]], chunk: int
) -> None:
    text = write(samples)

    assert rewritten(text, chunk=chunk) == text


@given(sample_sets())
def test_a_block_that_was_seen_before_is_decided_alike(samples: list[tuple[str, dict[str, str], str, str]]) -> None:
    text = write(samples).encode()
    rewriter = Rewriter(rename)

    assert b"".join(rewriter.rewrite([text])) == b"".join(rewriter.rewrite([text]))


@settings(max_examples=1000)
@given(st.binary(max_size=80) | st.text(st.sampled_from('ab{}",\\=# \n1\t'), max_size=60).map(str.encode))
def test_no_input_breaks_it(data: bytes) -> None:
    """A fixed number of inputs, most of them no exposition at all."""
    for strict in (True, False):
        rewriter = Rewriter(rename, strict=strict)
        shown = b"".join(rewriter.rewrite([data]))
        assert rewriter.kept + rewriter.dropped <= data.count(b"\n") + 1
        assert len(shown) <= len(data) + 1 + 8 * data.count(b"pod")


@given(values)
def test_escapes(text: str) -> None:
    assert unescape(escape(text)) == text
    assert b"\n" not in escape(text)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('a{pod="x"} 1', 'a{pod="virtual-x"} 1'),
        ('a {pod="x"} 1', 'a {pod="virtual-x"} 1'),
        ('a{ pod = "x" , b="y", } 1 17', 'a{pod="virtual-x",b="y"} 1 17'),
        ('a{b="} 1",pod="x"} 1', 'a{b="} 1",pod="virtual-x"} 1'),
        ('a{b="\\"} ",pod="x"} 1', 'a{b="\\"} ",pod="virtual-x"} 1'),
        ('a{b="\\\\",pod="x"} 1', 'a{b="\\\\",pod="virtual-x"} 1'),
        ('a{b="pod=\\"z\\"",pod="x"} 1', 'a{b="pod=\\"z\\"",pod="virtual-x"} 1'),
        # Exemplars have labels of their own, of which nobody tells whose they are.
        ('a_total{pod="x"} 1 # {trace_id="t",pod="drop"} 0.5 1.2', 'a_total{pod="virtual-x"} 1'),
        ('a_total 1 # {pod="drop"} 0.5', "a_total 1"),
        ('a{pod="x"} NaN 17', 'a{pod="virtual-x"} NaN 17'),
        ('a{pod="x"} +Inf', 'a{pod="virtual-x"} +Inf'),
        ('a{pod="x"} 1.5e-09\r', 'a{pod="virtual-x"} 1.5e-09'),
        ('a{"pod"="x"} 1', 'a{"pod"="virtual-x"} 1'),
        ('{"my.metric",pod="x"} 1', '{"my.metric",pod="virtual-x"} 1'),
        ('a{"my.label"="y",pod="x"} 1', 'a{"my.label"="y",pod="virtual-x"} 1'),
        ("a{} 1", "a{} 1"),
        ("a 1 2", "a 1 2"),
        ('a{pod="drop-1"} 1', ""),
        ('a{b="drop} 1"', ""),
        ('a{pod="x" b="y"} 1', ""),
        ('a pod="x" 1', ""),
        ('a 1 pod="x"', ""),
        ('a{b="y"} 1 pod="x"', ""),
        ('a{b="y"} 1{pod="x"}', ""),
        ('a{b="y"} ', ""),
        ('pod="x",a{b="y"} 1', ""),
        ('a pod{b="y"} 1', ""),
        ('a{b="y",b="x"} 1', ""),
        ('a{pod="x",pod="y"} 1', ""),
        ('a{pod="x","pod"="y"} 1', ""),
        ('{"pod=x",b="y"} 1', ""),
        ("{} 1", ""),
        ('{pod="x"} 1', ""),
        ("x", ""),
        ("x 1 2 3", ""),
        ("# pod x", ""),
        ("#pod x y", ""),
        ("# EOF of pod x", ""),
    ],
)
def test_lines(line: str, shown: str) -> None:
    assert rewritten(f"{line}\n", rename) == (f"{shown}\n" if shown else "")


def test_what_cannot_be_read_is_passed_on_where_nothing_may_be_lost() -> None:
    text = 'a{b="drop} 1\na{pod="x" b="y"} 1\na 1 b\na{b="y",b="y"} 1\n# so\na{b="y"} 1 # {c="d"} 2\n'

    assert rewritten(text, rename, strict=False) == text


def test_comments_go_with_their_samples() -> None:
    text = (
        "# HELP a of all\n# TYPE a gauge\n# UNIT a seconds\n"
        'a{pod="drop-1"} 1\n# a remark\n# HELP b of all\n# TYPE b gauge\nb{pod="drop-2"} 1\nb{pod="x"} 1\n# HELP c none\n# EOF\n'
    )

    assert rewritten(text, rename) == '# HELP b of all\n# TYPE b gauge\nb{pod="virtual-x"} 1\n# EOF\n'


def test_without_bare_samples() -> None:
    assert rewritten('a 1\nb{} 1\nc{d="e"} 1\n', rename, bare=False) == 'c{d="e"} 1\n'


def test_a_last_line_without_an_end() -> None:
    assert rewritten('a{pod="x"} 1\na{pod="y"} 2', rename) == 'a{pod="virtual-x"} 1\na{pod="virtual-y"} 2\n'


@pytest.mark.parametrize("block", [b'{a="b"', b"{a=b}", b'{a="b""c"}', b'{="b"}', b'{1a="b"}', b'{a="b";}'])
def test_what_is_no_block(block: bytes) -> None:
    with pytest.raises(ValueError, match="not a label block"):
        parse_block(block)


# ------------------------------------------------------------------------------------------- whatever bytes come


lines_of_anything = st.lists(
    st.sampled_from(
        [
            *(b"a", b"{", b"}", b'"', b"\\", b"\n", b" ", b",", b"=", b"#", b"# HELP a b", b"1", b"NaN", b"+Inf"),
            b"1e999",
            b'a{b="c"} 1\n',
            b"# TYPE a gauge\n",
            b"# EOF\n",
            b'pod="x"',
            b"\xff",
            b"\xed\xa0\x80",
            b"\0",
            b"\t",
            b"\r",
            b"_1",
        ]
    )
    | st.binary(max_size=6),
    max_size=40,
).map(b"".join)


@settings(max_examples=500, deadline=None)
@given(data=lines_of_anything, step=st.integers(1, 50), strict=st.booleans(), bare=st.booleans())
def test_any_bytes_are_rewritten_without_an_error(data: bytes, step: int, strict: bool, bare: bool) -> None:
    chunks = [data[start : start + step] for start in range(0, len(data), step)]
    for decide in (lambda labels: {}, rename, lambda labels: None):
        made = Rewriter(decide, strict=strict, bare=bare)
        b"".join(made.rewrite(chunks))
        b"".join(made.rewrite(chunks))


@settings(max_examples=500, deadline=None)
@given(data=lines_of_anything, step=st.integers(1, 50))
def test_any_bytes_are_read_without_an_error_and_numbers_are_finite(data: bytes, step: int) -> None:
    reader = Reader(lambda name: True)
    chunks = [data[start : start + step] for start in range(0, len(data), step)]
    for _ in range(2):
        assert all(abs(sample.value) <= LARGEST for sample in reader.read(chunks))


@settings(max_examples=500, deadline=None)
@given(data=lines_of_anything, step=st.integers(1, 50))
def test_what_is_no_text_is_told_whatever_it_is(data: bytes, step: int) -> None:
    chunks = [data[start : start + step] for start in range(0, len(data), step)]
    found = []
    for parts in (chunks, [data]):
        try:
            checked = Checked(parts)
            assert b"".join(checked) == data
            found.append(str(checked.broken))
        except BadAnswer as error:
            found.append(error.message)
    assert found[0] == found[1]


def test_memory_of_names_and_blocks_is_bounded() -> None:
    """A node whose label blocks are new in each scrape, each as long as a line may be."""
    reader, rewriter = Reader(lambda name: True), Rewriter(lambda labels: {})
    tracemalloc.start()
    for number in range(400):
        line = b'a%d{b="%s%d"} 1\n' % (number, b"x" * 250_000, number)
        deque(reader.read([line]), maxlen=0)
        deque(rewriter.rewrite([b"# HELP a " + line[:250_000] + b"\n", line]), maxlen=0)
        deque(rewriter.rewrite([b'a{%s%d="b"} 1\n' % (b"c" * 250_000, number)]), maxlen=0)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 100 << 20


def test_comments_that_wait_are_few() -> None:
    made = Rewriter(lambda labels: {})
    text = b"".join(made.rewrite([b"# HELP a b\n# TYPE a gauge\n" + b"# NOTE a b\n" * 100_000 + b"a 1\n"]))
    assert text.splitlines()[:2] == [b"# HELP a b", b"# TYPE a gauge"]
    assert len(text.splitlines()) <= 10


def test_a_series_too_many_is_an_error() -> None:
    lines = (b'a{b="%d"} 1\n' % number for number in range(MOST + 1))
    with pytest.raises(TooLarge, match="more than 100,000 series"):
        deque(Reader(lambda name: True).read(lines), maxlen=0)
    lines = (b'a{b="%d"} 1\n' % number for number in range(MOST + 1))
    deque(Reader(lambda name: False).read(lines), maxlen=0)
