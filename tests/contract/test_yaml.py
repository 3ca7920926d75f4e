"""One reading of YAML: what `tuning` reads is what kubectl sends, for every text; the rest is refused, with its line.

kubectl itself is asked, by a command that needs no API server.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from integration.harness import BinariesUnavailable, locate
from tuning_study.documents import read_documents
from tuning_study.exceptions import InvalidStudy

REFUSED = object()


@pytest.fixture(scope="module")
def kubectl() -> Path:
    try:
        return locate().kubectl
    except BinariesUnavailable as missing:
        pytest.skip(str(missing))


def by_kubectl(kubectl: Path, body: str) -> list[Any]:
    """What kubectl makes of each document's `x`; REFUSED where it takes none."""
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
    documents = "\n---\n".join(head + document for document in body.split("\n---\n"))
    command = [str(kubectl), "label", "--local", "--dry-run=client", "-o", "json", "-f", "-", "a=b"]
    done = subprocess.run(command, input=documents, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return [REFUSED]
    decoder, rest, found = json.JSONDecoder(), done.stdout.strip(), []
    while rest:
        document, end = decoder.raw_decode(rest)
        found.append(document.get("x"))
        rest = rest[end:].strip()
    return found


def by_tuning(body: str) -> list[Any]:
    try:
        return [document.content["x"] for document in read_documents(body)]
    except InvalidStudy:
        return [REFUSED]


def same(left: Any, right: Any) -> bool:
    """Equal, with 1 told from true; not 1 from 1.0, which JSON does not tell apart."""
    return json.dumps(_numbers(left), sort_keys=True) == json.dumps(_numbers(right), sort_keys=True)


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _numbers(entry) for key, entry in value.items()}
    return value if isinstance(value, bool) or not isinstance(value, int) else float(value)


ALIKE = (
    *("true", "False", "TRUE", "null", "~", "Null", '""', "text", "yesterday", "1:30", "12:30:45", "2020-01-01"),
    *(
        "2001-12-14t21:59:43.10-05:00",
        "1",
        "-1",
        "+1",
        "0",
        "-0.0",
        "00",
        "07",
        "1.0",
        "1.",
        ".5",
        "+.5",
        "1e3",
        "1E-3",
    ),
    *("1e21", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "0x1F"),
    *(
        "1E-3",
        "1e-400",
        "0.1",
        "1e",
        "e1",
        "1.2.3",
        "--",
        "+",
        "tRue",
        "nULL",
        "yEs",
        "0b",
        "0x",
        "=",
        "1,000",
        "1 000",
    ),
    *("'on'", '"010"', "'1_000'", "inf", "nan", "NaN", "Infinity", "_1", "1__", "08h", "0o", "12e03", "'<<'"),
    *("1_000", "1_0.5", "0b11", "-0b11", "0o17_", "-0x1F", "1_", "+1_1", "0_7"),
)
TWO_READINGS = (
    *("on", "On", "ON", "off", "Off", "OFF", "yes", "Yes", "YES", "no", "No", "NO", "y", "Y", "n", "N"),
    *("010", "-017", "+010", "0_10", "0B1", "0X1F", "0O17", "-0XF", "0x" + "f" * 17, "1e400", "-1e400", ".5_0"),
)
NO_JSON = (".inf", "-.inf", "+.INF", ".nan", ".NaN")


def test_a_scalar_that_is_read_in_one_way_is_taken(kubectl: Path) -> None:
    body = "x:\n" + "".join(f"- {text}\n" for text in ALIKE)
    (ours,), (theirs,) = by_tuning(body), by_kubectl(kubectl, body)
    differing = [text for text, left, right in zip(ALIKE, ours, theirs, strict=True) if not same(left, right)]
    assert differing == []


@pytest.mark.parametrize("text", TWO_READINGS)
def test_a_scalar_that_is_read_in_two_ways_is_refused_until_it_is_quoted(kubectl: Path, text: str) -> None:
    if text != ".5_0":
        plain = YAML(typ="safe", pure=True).load(f"x: {text}")["x"]
        assert not same(plain, by_kubectl(kubectl, f"x: {text}")[0]), "both read it alike: it could be taken"
    with pytest.raises(InvalidStudy, match=r"^line 2, column \d+: .*: quote it"):
        read_documents(f"a: 1\nx: {text}")
    assert by_tuning(f'x: "{text}"') == by_kubectl(kubectl, f'x: "{text}"') == [text]


@pytest.mark.parametrize("text", NO_JSON)
def test_a_number_that_json_lacks_is_refused_by_both(kubectl: Path, text: str) -> None:
    assert by_tuning(f"x: {text}") == by_kubectl(kubectl, f"x: {text}") == [REFUSED]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: on", '`on` is "on" in YAML 1.2 and true for kubectl: quote it ("on"), or write true'),
        ("x: 010", '`010` is 10 in YAML 1.2 and 8 for kubectl: quote it ("010"), or write 8'),
        ("x: .inf", "`.inf` is no number that JSON has: quote it, or write another"),
        ("x: {1: a}", "the key 1 is no text: quote it"),
        ("x: {y: 1}", '`y` is "y" in YAML 1.2 and true for kubectl: quote it ("y")'),
        ("x: {a: 1, a: 2}", '"a" is there twice, first in line 1: remove one of them, or make one of both'),
        (
            "x: !!float 1",
            "remove the tag tag:yaml.org,2002:float, which not every reader knows, and quote what is text",
        ),
        ("x: {a: 1, <<: {a: 2}}", "for kubectl `<<` replaces what stands before it: write it first"),
    ],
)
def test_a_refusal_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(InvalidStudy) as refused:
        read_documents(text)
    (told,) = refused.value.problems
    assert re.sub(r"^line 1, column \d+: ", "", told) == message


@pytest.mark.parametrize("text", ["x: 1\n...\nx: 2", "x: 1\n--- {x: 2}", "x: 1\n---\n...\nx: 2"])
def test_a_document_that_kubectl_overlooks_is_refused(text: str) -> None:
    with pytest.raises(InvalidStudy, match="begin it with `---` on a line of its own"):
        read_documents(text)


def test_an_alias_is_where_it_was_written() -> None:
    (document,) = read_documents("a: &a\n  b: 1\nx:\n  <<: {c: 1}\n  d:\n    - name: e\n      f: *a\n")
    found = [document.find(place) for place in ("x.c", "x.d[0].f", "x.d.e.f.b", "x.z", "z")]
    assert found == [(4, 3), (7, 7), (2, 3), (3, 1), None]


def test_every_place_is_told() -> None:
    with pytest.raises(InvalidStudy) as refused:
        read_documents("a: on\nb:\n  - yes\n  - c: 0777\n")
    assert [problem.partition(":")[0] for problem in refused.value.problems] == [
        "line 1, column 4",
        "line 3, column 5",
        "line 4, column 8",
    ]


STRUCTURES = {
    "an alias": "a: &a [1, {b: c}]\nx: [*a, *a]",
    "a merge": "a: &a {p: 1, q: 2}\nx: {<<: *a, p: 3}",
    "several merges": "a: &a {p: 1}\nb: &b {p: 2, q: 2}\nx: {<<: [*a, *b], r: 3}",
    "a merge of a merge": "a: &a {p: 1}\nb: &b {<<: *a, q: 2}\nx: {<<: *b}",
    "an anchor used again": "a: &a 1\nb: &a 2\nx: *a",
    "an alias for a key": "a: &a k\nx: {*a : 1}",
    "a quoted merge key": 'x: {"<<": 1}',
    "block scalars": "x:\n  - |\n    on\n    off\n  - >-\n    1\n    2\n  - |+\n    a\n\n",
    "text over lines": "x: a\n  b\n\n  c",
    "escapes": 'x: ["\\u00e9", "\\x41", "\\n", \'it\'\'s\', "\\U0001F4A5"]',
    "comments": "x: a#b # c",
    "empty values": "x: {a: , b: ~, c: ''}",
    "several documents": "x: 1\n---\nx: two",
    "a document of nothing": "x: 1\n---\n# nothing\n",
    "JSON": 'x: {"a": [1.0, 1e3, true, null, "on"]}',
    "Windows' line ends": "x: [a,\r\n b]\r\n",
    "a mark of the byte order": "x: 1",
}


@pytest.mark.parametrize("body", STRUCTURES.values(), ids=STRUCTURES)
def test_a_structure_is_read_as_kubectl_reads_it(kubectl: Path, body: str) -> None:
    assert by_tuning(body) != [REFUSED]
    assert same([entry for entry in by_kubectl(kubectl, body) if entry is not None], by_tuning(body))


WORDS = [*ALIKE, *TWO_READINGS, *NO_JSON]
SCALARS = st.sampled_from(WORDS) | st.text(alphabet="0123456789abefnoxyEXO_+-.:~<", min_size=1, max_size=8)


@settings(max_examples=60)
@given(st.lists(SCALARS, min_size=1, max_size=30))
def test_whatever_is_taken_is_read_alike(kubectl: Path, texts: list[str]) -> None:
    for text in texts:
        body = f"x: {text}"
        (ours,) = by_tuning(body) if not text.startswith("---") else [REFUSED]
        if ours is not REFUSED:
            assert same(ours, by_kubectl(kubectl, body)[0]), text
