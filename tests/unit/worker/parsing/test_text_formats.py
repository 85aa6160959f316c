"""What becomes of files that are text: prose, code, Markdown, pages, records, tables, mails and transcripts."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ragindex_core.document import Block, BlockKind, DocumentReason, ParsedDocument

Parse = Callable[..., ParsedDocument]
Reject = Callable[..., DocumentReason]


def shown(document: ParsedDocument) -> list[tuple[str, str]]:
    return [(block.kind.value, block.span.of(document.text)) for block in document.blocks]


def of_kind(document: ParsedDocument, kind: BlockKind) -> list[Block]:
    return [block for block in document.blocks if block.kind is kind]


def test_plain_text_is_cut_at_blank_lines_and_has_no_headings(parse: Parse) -> None:
    document = parse("LEAVE\r\n\r\n  Twenty days.\r\nNo more.\r\n\r\n\r\n", "a.txt")
    assert shown(document) == [("Paragraph", "LEAVE"), ("Paragraph", "  Twenty days.\nNo more.")]
    assert document.title is None


def test_source_code_is_code(parse: Parse) -> None:
    document = parse("def a():\n    return 1\n\n\ndef b():\n    return 2\n", "tool.py")
    assert shown(document) == [("Code", "def a():\n    return 1"), ("Code", "def b():\n    return 2")]


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8 with a mark"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16 unmarked"),
     ("utf-16-be", "big-endian"), ("utf-32", "utf-32"), ("cp1252", "Windows")],
    ids=str,
)  # fmt: skip
def test_every_common_encoding_gives_the_same_text(parse: Parse, encoding: str, name: str) -> None:
    text = "Der Urlaub beträgt 30 Tage – „für alle“, sagt Zoë. Überstunden werden in Freizeit ausgeglichen, nicht in €."
    assert parse(text.encode(encoding), "urlaub.txt").text == text


def test_other_encodings_are_guessed(parse: Parse) -> None:
    russian = "Отпуск составляет двадцать восемь календарных дней в году. " * 20
    assert parse(russian.encode("cp1251"), "a.txt").text.strip() == russian.strip()
    japanese = "年次有給休暇は二十日です。休暇の申請は上司に提出してください。" * 20
    assert parse(japanese.encode("shift_jis"), "a.txt").text == japanese


def test_what_nobody_sees_is_gone_and_letters_are_composed(parse: Parse) -> None:
    assert parse("Cafe\u0301 de\u00adlight\ufeff\u00a0now\x07\u2028end", "a.txt").text == "Café delight now\nend"


def test_markdown_keeps_its_source_and_knows_its_parts(parse: Parse) -> None:
    source = (
        "---\ntitle: Handbook\nauthor: Ann\n---\n\n# Leave #\n\nTwenty\ndays.\n\nSick days\n---------\n\n"
        "- a doctor\n  says\n- so\n\n"
        "| Who | Days |\n|---|---|\n| all | 20 |\n\n```py\n# no heading\n\nx = 1\n```\n\n    indented\n"
    )
    document = parse(source, "handbook.md")
    assert document.text == source
    assert document.title == "Handbook"
    assert document.metadata == {"author": "Ann"}
    assert shown(document)[1:] == [
        ("Heading", "# Leave #"),
        ("Paragraph", "Twenty\ndays."),
        ("Heading", "Sick days\n---------"),
        ("ListItem", "- a doctor\n  says"),
        ("ListItem", "- so"),
        ("Table", "| Who | Days |\n|---|---|\n| all | 20 |"),
        ("Code", "```py\n# no heading\n\nx = 1\n```"),
        ("Code", "    indented"),
    ]
    assert [block.level for block in of_kind(document, BlockKind.HEADING)] == [1, 2]


def test_the_highest_of_the_first_headings_is_the_title(parse: Parse) -> None:
    assert parse("## Notes\n\n# The *Handbook*\n\ntext", "a.md").title == "The Handbook"
    assert parse("# Untitled\n\ntext", "a.md").title is None


def test_html_is_what_a_reader_sees(parse: Parse) -> None:
    document = parse(
        """<!doctype html><html lang="en-GB"><head><title>Leave policy</title><style>p {}</style>
        <meta name="author" content="Ann"></head><body><nav>Home</nav><h1>Leave</h1>
        <p>Twenty <b>paid</b>\n days.<br>No more.</p><script>alert(1)</script><p hidden>secret</p>
        <p style="display:none">secret</p><ul><li>one<li>two <i>and</i> a half</ul><pre>x\n  y</pre>
        <table><tr><th>Who</th><th>Days</th></tr><tr><td>all</td><td>20</td></tr></table></body></html>""",
        "page",
    )
    assert shown(document) == [
        ("Heading", "Leave"),
        ("Paragraph", "Twenty paid days.\nNo more."),
        ("ListItem", "- one"),
        ("ListItem", "- two and a half"),
        ("Code", "x\n  y"),
        ("Table", "Who | Days\nall | 20"),
    ]
    assert (document.title, document.language, document.metadata) == ("Leave policy", "en", {"author": "Ann"})
    assert of_kind(document, BlockKind.TABLE)[0].header is not None


def test_html_nested_ten_thousand_deep_is_read(parse: Parse) -> None:
    deep = "<html><body>" + "<div>" * 10_000 + "bottom" + "</div>" * 10_000
    assert parse(deep, "a.html").text == "bottom"


def test_json_reads_as_paths_and_values(parse: Parse) -> None:
    document = parse('{"name": "Printer", "price": 12.50, "tags": ["a", "b"], "maker": {"city": "Kiel"}}', "a.json")
    assert document.text == "name: Printer\nprice: 12.50\n\ntags: a, b\n\nmaker.city: Kiel"
    assert document.title == "Printer"


def test_json_lines_are_a_block_a_record_with_title_and_text_first(parse: Parse) -> None:
    records = [{"id": n, "title": f"Title {n}", "text": "Some prose.", "year": 2020 + n} for n in (1, 2)]
    document = parse("\n".join(map(json.dumps, records)), "corpus.jsonl")
    assert shown(document) == [
        ("Paragraph", "Title 1\nSome prose.\nid: 1\nyear: 2021"),
        ("Paragraph", "Title 2\nSome prose.\nid: 2\nyear: 2022"),
    ]


def test_a_broken_line_of_json_lines_is_named(reject: Reject) -> None:
    assert reject('{"a": 1}\n{"a": 2}\n{"a": 3}\n{"a":\n', "a.jsonl") is DocumentReason.CORRUPT


def test_xml_is_its_words_with_their_names(parse: Parse) -> None:
    document = parse(
        '<?xml version="1.0"?><list><item><name>Kiel</name><size n="3"/></item><item>A <b>bold</b> word</item></list>',
        "a.xml",
    )
    assert shown(document) == [("Paragraph", "name: Kiel\nsize: n=3"), ("Paragraph", "item: A bold word")]


def test_broken_xml_is_corrupt_and_bottomless_xml_too_large(reject: Reject) -> None:
    assert reject("<?xml version='1.0'?><a><b></a>", "a.xml") is DocumentReason.CORRUPT
    assert reject("<?xml version='1.0'?>" + "<a>" * 5000 + "</a>" * 5000, "a.xml") is DocumentReason.TOO_LARGE


def test_entities_of_xml_are_never_read(parse: Parse) -> None:
    hostile = (
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a><b>&x;</b><c>safe</c></a>'
    )
    assert parse(hostile, "a.xml").text == "c: safe"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"], ids=["comma", "semicolon", "tab", "bar"])
def test_delimited_values_become_a_table_with_cells(parse: Parse, delimiter: str) -> None:
    rows = [["Name", "City", "Age"], ["Ann", "Kiel\nNorth", "31"], ["", "", ""], ["Bob", "", "27"]]
    content = "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    document = parse(content, "people.csv")
    assert shown(document) == [("Table", "Name | City | Age\nAnn | Kiel North | 31"), ("Table", "Bob |  | 27")]
    assert [block.location.cells for block in document.blocks] == ["A1:C2", "A4:C4"]
    first = document.blocks[0].header
    assert first is not None
    assert first.of(document.text) == "Name | City | Age"


def test_a_first_row_of_numbers_is_no_header(parse: Parse) -> None:
    assert parse("1,2\n3,4\n", "a.csv").blocks[0].header is None


MAIL = (
    "From: Ann <ann@example.org>\nTo: Bob <bob@example.org>, Cy <cy@example.org>\nSubject: =?utf-8?q?Caf=C3=A9?=\n"
    "Date: Fri, 23 Dec 2022 12:08:48 -0600\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n"
    "--x\nContent-Type: {kind}; charset=utf-8\n\n{body}\n"
    '--x\nContent-Disposition: attachment; filename="plan.pdf"\nContent-Type: application/pdf\n\nJVBERi0=\n--x--\n'
)


def test_a_mail_is_its_head_and_body_and_names_its_attachments(parse: Parse) -> None:
    document = parse(MAIL.format(kind="text/plain", body="Hello.\n\nAt noon?"), "mail.eml")
    assert shown(document)[0] == ("Heading", "Café")
    assert [text for _, text in shown(document)][2:] == ["Hello.", "At noon?"]
    assert document.title == "Café"
    assert document.metadata["attachments"] == ["plan.pdf"]
    assert document.metadata["created"] == "2022-12-23T12:08:48-06:00"


def test_a_mail_in_html_is_read_as_a_page(parse: Parse) -> None:
    document = parse(MAIL.format(kind="text/html", body="<p>Hello <b>you</b></p><script>x</script>"), "mail")
    assert shown(document)[-1] == ("Paragraph", "Hello you")


def test_webvtt_knows_when_and_who(parse: Parse) -> None:
    document = parse(
        "WEBVTT\n\nNOTE not said\n\nintro\n00:01.500 --> 00:03.000 align:start\n"
        "<v.loud Mary Ann>It&amp;s <i>blue</i></v>\n\n"
        "01:00:00.000 --> 01:00:01.000\nNo way!\n",
        "talk.vtt",
    )
    assert shown(document) == [("Speech", "It&s blue"), ("Speech", "No way!")]
    first, second = (block.location for block in document.blocks)
    assert (first.start_ms, first.end_ms, first.speaker) == (1500, 3000, "Mary Ann")
    assert (second.start_ms, second.speaker) == (3_600_000, None)


def test_subrip_takes_a_name_that_opens_several_cues_for_the_speaker(parse: Parse) -> None:
    cues = ["Ann: Good morning.", "Bob: Morning!", "Ann: Shall we?", "Note: the door."]
    content = "\n\n".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\n{cue}" for n, cue in enumerate(cues, 1))
    document = parse(content, "talk.srt")
    assert [block.location.speaker for block in document.blocks] == ["Ann", None, "Ann", None]
    assert document.text.split("\n") == cues


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        pytest.param("<html><body>x</body></html>", "report.pdf", "text/html", id="a page named pdf is a page"),
        pytest.param("WEBVTT\n\n00:01.000 --> 00:02.000\nx", "a.txt", "text/vtt", id="a transcript named txt"),
        pytest.param("{\\rtf1 Hello}", "a.doc", "application/rtf", id="rich text named doc"),
        pytest.param('[{"a": 1}]', "notes", "application/json", id="JSON without a name"),
        pytest.param("[note] no JSON", "notes.json", "text/plain", id="text named json"),
        pytest.param("Subject: x\nFrom: y\n\nz", "m", "message/rfc822", id="a mail without a name"),
        pytest.param("# a: b\nkey: value", "a.yaml", "text/plain", id="YAML is code"),
        pytest.param("a,b\n1,2", "a.txt", "text/plain", id="commas in prose are no table"),
        pytest.param("<p>one</p>", "a.md", "text/markdown", id="a tag in Markdown"),
    ],
)
def test_the_kind_is_told_by_content_first(parse: Parse, content: str, name: str, media_type: str) -> None:
    assert parse(content, name).media_type == media_type


def test_rich_text_gives_paragraphs_and_tables(parse: Parse) -> None:
    source = (
        r"{\rtf1\ansi{\info{\title Trip report}}{\pard Gr\'fc\'dfe\par}"
        r"{\trowd\cellx3000\cellx6000 City\cell Days\cell\row}{\trowd\cellx3000\cellx6000 Kiel\cell 2\cell\row}}"
    )
    document = parse(source, "a.rtf")
    assert shown(document) == [("Paragraph", "Grüße"), ("Table", "City | Days\nKiel | 2")]
    assert document.title == "Trip report"
