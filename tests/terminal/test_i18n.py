"""Languages: which one is chosen, and that its catalog is complete."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Callable, Iterator
from datetime import date, datetime
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from babel.messages import Catalog, Message

from gmessenger.client import Client, Connected
from gmessenger.client.responses import error_from_response
from gmessenger.errors import ERRORS, WIRE_ERRORS, ExitError, RateLimited, TextTooLong, Unreachable, WireError
from gmessenger.terminal import dates, i18n
from gmessenger.terminal.commands import help_text
from gmessenger.terminal.i18n import SERVER_TEXTS, _, localize, localize_greeting, ngettext
from gmessenger.terminal.main import main
from gmessenger.text import Fragment, ServerText, Text
from gmessenger.wire.events import ResponseFrame
from scripts.translations import (
    HEADERS,
    PACKAGE,
    PLACES,
    catalogs,
    compile_catalog,
    extract_all,
    read_catalog,
    untranslated,
    update_catalog,
)
from tests.conftest import RunningServer
from tests.support.scripted_server import FakeServer
from tests.terminal.conftest import OpenTerminal

RUSSIAN = {"LANG": "ru_RU.UTF-8"}


@pytest.fixture
def russian() -> Iterator[None]:
    i18n.install(RUSSIAN)
    yield
    i18n.install({})


@pytest.mark.parametrize(
    ("environ", "languages"),
    [
        ({}, []),
        (RUSSIAN, ["ru_RU.UTF-8"]),
        ({"LANG": "C.UTF-8"}, []),
        ({"LANG": "POSIX"}, []),
        ({"LC_ALL": "C.UTF-8", **RUSSIAN}, []),
        ({"LC_ALL": "", **RUSSIAN}, ["ru_RU.UTF-8"]),
        ({"LC_MESSAGES": "ru_RU", "LANG": "en_US.UTF-8"}, ["ru_RU"]),
        ({"LANGUAGE": "ru:en", "LANG": "de_DE.UTF-8"}, ["ru"]),
        ({"LANGUAGE": "en_GB:en:ru", **RUSSIAN}, []),  # English comes before Russian
        ({"LANGUAGE": "uk:ru", "LANG": "uk_UA.UTF-8"}, ["uk", "ru"]),
        ({"LANGUAGE": "ru", "LANG": "C"}, []),
        ({"LANGUAGE": "ru"}, ["ru"]),
    ],
)
def test_which_languages_the_environment_asks_for(environ: dict[str, str], languages: list[str]) -> None:
    assert i18n.languages(environ) == languages


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (RUSSIAN, "ничего не найдено"),
        ({"LANGUAGE": "uk:ru", "LANG": "uk_UA.UTF-8"}, "ничего не найдено"),
        ({"LANG": "ru"}, "ничего не найдено"),
        ({"LANG": "de_DE.UTF-8"}, "nothing found"),
        ({"LC_ALL": "C.UTF-8"}, "nothing found"),
    ],
)
def test_the_first_language_that_there_is(environ: dict[str, str], expected: str) -> None:
    i18n.install(environ)
    try:
        assert _("nothing found") == expected
    finally:
        i18n.install({})


def test_the_empty_sentence_is_not_the_head_of_the_catalog(russian: None) -> None:
    assert _("") == "" and localize("") == ""


@pytest.fixture(params=catalogs(), ids=lambda file: file.parent.parent.name)
def catalog_file(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def catalog(catalog_file: Path) -> Catalog:
    return read_catalog(catalog_file)


def test_there_are_catalogs() -> None:
    assert [file.parent.parent.name for file in catalogs()] == ["ru"]


def test_nothing_is_missing_or_left_over(catalog: Catalog) -> None:
    assert {message.id for message in catalog} == {message.id for message in extract_all()}, "make words"
    assert not untranslated(catalog)
    assert not catalog.obsolete
    assert not [message.id for message in catalog if message.id and message.fuzzy]


def forms(message: Message) -> tuple[list[str], list[str]]:
    """Return the forms of a message id, and those of its translation."""
    return [[form] if isinstance(form, str) else list(form) for form in (message.id, message.string)]  # type: ignore


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_same_values_are_filled_in(catalog: Catalog) -> None:
    for message in catalog:
        sources, expected = forms(message)
        if message.id and "python-format" not in message.flags:
            expected_names = placeholders(sources[0])
            assert all(placeholders(form) == expected_names for form in (*sources, *expected)), message.id


def test_what_begins_and_ends_a_sentence_is_kept(catalog: Catalog) -> None:
    """Answers are typed behind questions; `Fragment` removes the full stop of a sentence."""
    for message in catalog:
        sources, expected = forms(message)
        for form in expected if message.id else []:
            assert form.endswith((" ", "\n")) == sources[0].endswith((" ", "\n")), message.id
            assert form.strip().endswith(".") == sources[0].strip().endswith("."), message.id


COUNTS = (*range(25), 100, 101, 102, 111, 1_000_000)


def test_what_is_compiled_is_what_is_written(catalog_file: Path) -> None:
    """Compared as gettext reads it: the layout of a compiled file depends on the compiler."""
    shipped, anew = map(
        translations, (catalog_file.with_suffix(".mo").read_bytes(), compile_catalog(read_catalog(catalog_file)))
    )
    assert shipped.info() == anew.info(), "make words"
    for message in read_catalog(catalog_file):
        one, many = message.id if message.pluralizable else (message.id, message.id)
        assert shipped.gettext(one) == anew.gettext(one), "make words"
        for count in COUNTS if message.pluralizable else ():
            assert shipped.ngettext(one, many, count) == anew.ngettext(one, many, count), "make words"


def translations(compiled: bytes) -> GNUTranslations:
    return GNUTranslations(BytesIO(compiled))


def test_no_catalog_states_when_or_by_what_it_was_written(catalog_file: Path) -> None:
    shipped = catalog_file.read_bytes(), catalog_file.with_suffix(".mo").read_bytes()
    assert set(translations(shipped[1]).info()) == {name.lower() for name in HEADERS}
    for data in shipped:
        assert b"Babel" not in data and b"-Date" not in data, "make words"


def test_another_version_of_babel_writes_the_same_catalog(catalog_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    today = update_catalog(catalog_file), compile_catalog(read_catalog(catalog_file))
    monkeypatch.setattr("babel.messages.catalog.VERSION", "99.9")
    monkeypatch.setattr("babel.messages.catalog.get_plural", lambda locale: pytest.fail("Babel's idea of plurals"))
    assert (update_catalog(catalog_file), compile_catalog(read_catalog(catalog_file))) == today


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "найдено 0 сообщений:"),
        (1, "найдено 1 сообщение:"),
        (2, "найдено 2 сообщения:"),
        (4, "найдено 4 сообщения:"),
        (5, "найдено 5 сообщений:"),
        (11, "найдено 11 сообщений:"),
        (12, "найдено 12 сообщений:"),
        (21, "найдено 21 сообщение:"),
        (111, "найдено 111 сообщений:"),
        (122, "найдено 122 сообщения:"),
    ],
)
def test_plural_forms(russian: None, count: int, expected: str) -> None:
    assert ngettext("found {count} message:", "found {count} messages:", count) == expected


def test_plural_forms_in_english() -> None:
    forms = [ngettext("found {count} message:", "found {count} messages:", count) for count in (0, 1, 2)]
    assert forms == ["found 0 messages:", "found 1 message:", "found 2 messages:"]


@pytest.mark.parametrize("word", WIRE_ERRORS)
def test_every_refusal_is_said_in_the_readers_language(russian: None, word: str) -> None:
    kind = WIRE_ERRORS[word]
    answer = ResponseFrame(kind.status, error="What a server says today.", code=word)
    text = localize(error_from_response(answer))
    assert text.startswith(_(kind.message)) and _(kind.message) != kind.message
    assert ("What a server says today." in text) == (word in {"bad_request", "forbidden"})


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_every_error_has_a_sentence_in_the_readers_language(russian: None, error: type[WireError]) -> None:
    assert localize(error()) != str(error())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            ResponseFrame(413, error="At most 1.", code="too_long", limit=16_384),
            "В сообщении не может быть больше 16384 знаков.",
        ),
        (ResponseFrame(413, error="At most 1.", code="too_long"), "Текст слишком длинный."),
        (
            ResponseFrame(429, error="Slow.", code="too_fast", retry_after=2.2),
            "Слишком много запросов; подождите 3 секунды.",
        ),
        (
            ResponseFrame(429, error="Slow.", code="too_fast", retry_after=0.2),
            "Слишком много запросов; подождите 1 секунду.",
        ),
        (
            ResponseFrame(400, error="A name has no invisible characters.", code="bad_name"),
            "В имени не бывает невидимых знаков.",
        ),
        (
            ResponseFrame(400, error="A status is 1.", code="bad_request"),
            "Недопустимый запрос. Сервер пишет: A status is 1.",
        ),
        (ResponseFrame(499, error="Something new.", code="something_new"), "Something new."),
        (ResponseFrame(499), "Сервер ответил 499."),
    ],
)
def test_refusals(russian: None, answer: ResponseFrame, expected: str) -> None:
    assert localize(error_from_response(answer)) == expected


def shape(sentence: str | ast.JoinedStr) -> str:
    """Return the text with a gap for each value."""
    if isinstance(sentence, str):
        return re.sub(r"\{\w+\}", "{}", sentence)
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in sentence.values)


def test_what_servers_say_with_names_and_numbers_is_known_again() -> None:
    """All server texts, except those for operators' own commands, and the decoder's."""
    kinds = {error.__name__ for error in WIRE_ERRORS.values()}
    files = [file for file in (PACKAGE / "chat").glob("*.py") if file.stem not in {"tracer", "admin"}]
    calls = [
        node
        for file in [
            *files,
            *(PACKAGE / f"{name}.py" for name in ("account_settings", "field_types", "names", "profiles")),
        ]
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call)
    ]
    texts = [call.args[0] for call in calls if name_of(call) in kinds and call.args]
    assert {shape(text) for text in texts if isinstance(text, ast.JoinedStr)} == set(map(shape, SERVER_TEXTS))


@pytest.mark.parametrize(
    ("code", "sentence", "expected"),
    [
        ("never_seen", "There is no such ban or mute for Боря.", "Для Боря нет такого запрета."),
        ("not_here", "{x} is not here.", "{x}: сейчас не в сети."),
        ("bad_request", "A status is 1 to 32 printable characters, and not 'offline'.", "Состояние — это от 1 до 32"),
    ],
)
def test_sentences_with_values(russian: None, code: str, sentence: str, expected: str) -> None:
    assert localize(ServerText(sentence, code)).startswith(expected)


@pytest.mark.parametrize("kind", [TextTooLong, RateLimited])
def test_in_english_the_server_speaks_for_itself(kind: type[WireError]) -> None:
    answer = ResponseFrame(kind.status, error="As the server says it.", code=kind.code, limit=5, retry_after=5.0)
    assert localize(error_from_response(answer)) == "As the server says it."


def test_a_sentence_within_a_sentence(russian: None) -> None:
    inner = Fragment(Text("The server did not answer within {seconds:g} s.", seconds=30))
    error = Unreachable(Text("Cannot reach {place}: {reason}.", place="{x}:7777", reason=inner))
    assert str(error) == "Cannot reach {x}:7777: The server did not answer within 30 s."
    assert localize(error) == "Не удаётся связаться с {x}:7777: Сервер не ответил в течение 30 с."


def test_what_is_no_sentence_of_ours_stays_as_it_is(russian: None) -> None:
    assert (
        localize(ServerText("{braces} and %s", "nothing")) == localize(OSError("{braces} and %s")) == "{braces} and %s"
    )


def test_dates() -> None:
    assert dates.format_day(date(2026, 11, 23)) == "Monday, 23 November 2026"
    assert (dates.format_duration(0.84), dates.format_duration(9.96), dates.format_duration(25.2)) == (
        "0.8 s",
        "10 s",
        "25 s",
    )


@pytest.mark.parametrize(
    ("time_format", "shown"), [("%H:%M:%S", "21:05"), ("%r", "09:05 PM"), ("%I:%M:%S %p", "09:05 PM")]
)
def test_hours_are_counted_as_the_country_does(monkeypatch: pytest.MonkeyPatch, time_format: str, shown: str) -> None:
    monkeypatch.setattr("locale.nl_langinfo", lambda _what: time_format)
    then = datetime(2024, 3, 8, 21, 5).astimezone()
    assert dates.format_time(then.timestamp()) == f"2024-03-08 {shown}"


def test_dates_in_russian(russian: None) -> None:
    then = datetime(2024, 3, 8, 9, 5).astimezone()
    assert dates.format_time(then.timestamp()) == "08.03.2024 09:05"
    assert dates.format_time(datetime.now().timestamp()).count(":") == 1
    assert dates.format_time(1e30) == "--:--"
    assert dates.format_day(then.date()) == "пятница, 8 марта 2024"
    assert dates.format_duration(0.84) == "0,8 с"


def test_help_in_russian(russian: None) -> None:
    text = help_text(100)
    assert "1, message, /msg [ИМЯ [ТЕКСТ]]" in text and "выйти из комнаты" in text


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "хранятся всегда, между гостями не хранятся."),
        ({"retention_days": 31.0}, "хранятся 31 день, между гостями не хранятся."),
        ({"retention_days": 22.0}, "хранятся 22 дня, между гостями не хранятся."),
        ({"store": "memory:"}, "хранятся, пока сервер работает, между гостями не хранятся."),
        ({"retention_days": 0.5}, "are kept for 0.5 days, messages between guests not at all."),
    ],
)
def test_what_a_server_keeps(
    russian: None, start_server: Callable[..., RunningServer], options: dict[str, Any], expected: str
) -> None:
    server = start_server(greeting="Be kind.\nnothing found", **options)
    with Client(server.host, server.port, "аня") as client:
        event = next(client)
    assert isinstance(event, Connected)
    own, more, retention, readable = map(localize_greeting, event.greeting.splitlines())
    assert (own, more) == ("Be kind.", "nothing found")  # the owner's own words are left alone
    assert retention.endswith(expected)
    assert readable.startswith("Учётная запись, войдя в комнату, может читать то, что сказано после")


def test_a_conversation_in_russian(server: RunningServer, open_terminal: OpenTerminal) -> None:
    anna = open_terminal(server, "--name", "аня", **RUSSIAN)
    anna.wait_for(
        r"На связи с gmessenger/.*\r\nСообщения .* хранятся всегда.*\r\nУчётная запись.*\r\nВаше имя здесь: аня\."
    )
    anna.wait_for("Текст без команды уходит последнему адресату.*")
    anna.type_line("привет")
    anna.wait_for("-- Получателя ещё нет: сначала напишите /msg ИМЯ ТЕКСТ\\.")
    anna.type_line("/uesrs")
    anna.wait_for("-- Команды /uesrs нет\\. Может быть, /users[?]")
    anna.type_line("/users")
    anna.wait_for(r"-- здесь 1 человек:\r\n   аня \(это вы\)")
    anna.type_line("/msg боря привет")
    anna.wait_for("-- не отправлено [(]боря[)]: Это имя на сервере неизвестно\\. Текст: привет\r\nкому: боря> ")
    anna.type_line("/join #дом")
    anna.wait_for("-- Такой комнаты нет, а создавать комнаты можно только с учётной записью\\.")
    anna.type_line("/msg боря " + "я" * 2000)
    anna.wait_for("Это имя на сервере неизвестно")
    anna.type_line("/status " + "я" * 100)
    anna.wait_for("-- Состояние — это от 1 до")
    anna.type_line("/history")
    anna.wait_for("-- в беседе боря раньше ничего не было|-- Это можно только с учётной записью")
    anna.type_line("3")
    assert anna.wait_for_exit() == 0


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (RUSSIAN, "gmessenger-client: Не удаётся связаться с 127.0.0.1:{port}: в соединении отказано.\r\n"),
        ({"LC_ALL": "C.UTF-8", **RUSSIAN}, "gmessenger-client: Cannot reach 127.0.0.1:{port}: Connection refused.\r\n"),
    ],
)
def test_nobody_there(fake: FakeServer, open_terminal: OpenTerminal, environ: dict[str, str], expected: str) -> None:
    fake.stop_listening()
    anna = open_terminal(fake, "--name", "аня", "--retry-for", "0.01", **environ)
    assert anna.wait_for_exit() == 69
    notice, last_line = anna.seen.splitlines(keepends=True)
    assert last_line == expected.format(port=fake.port)
    assert re.match(r"-- .* (Trying again in|Следующая попытка через) 0[.,]\d (s|с)\.\r\n", notice)


def test_the_line_is_cut_in_russian(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    anna = open_terminal(fake, "--name", "аня", **RUSSIAN)
    peer = fake.accept_and_log_in()
    anna.wait_for("Ваше имя здесь")
    peer.close()
    anna.wait_for("-- связь прервана: сервер закрыл соединение; новая попытка через [0-9,]+ с; набранные до тех пор")
    fake.accept_and_log_in()
    anna.wait_for("-- снова на связи\r\n")


def test_turned_away_in_russian(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    anna = open_terminal(fake, "--name", "аня", **RUSSIAN)
    fake.accept().reject_login(403, "banned", "Go away.")
    assert (anna.wait_for_exit(), anna.seen) == (
        77,
        "gmessenger-client: Оператор запретил вам вход на этот сервер.\r\n",
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--port", "x"], "Параметр -p/--port: нужен номер порта от 0 до 65535, а не 'x'."),
        (["--port"], "Параметр -p/--port: нужно одно значение."),
        (["--bogus"], "Непонятные аргументы: --bogus."),
        (["--name", "a", "--json"], "--json работает только с --listen."),
        (["-c", "/nonexistent/x.ini"], "Не удаётся прочитать файл настроек /nonexistent/x.ini: нет такого файла"),
    ],
)
def test_faults_of_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    monkeypatch.setenv("LC_ALL", "ru_RU.UTF-8")
    try:
        assert main(arguments) in (2, 78)
    finally:
        i18n.install({})
    assert capsys.readouterr().err.startswith(f"gmessenger-client: {expected}")


def test_the_help_of_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LC_ALL", "ru_RU.UTF-8")
    try:
        with pytest.raises(SystemExit):
            main(["--help"])
    finally:
        i18n.install({})
    text = capsys.readouterr().out
    assert text.startswith("вызов: gmessenger-client") and "параметры:" in text
    letters = re.sub(r"MESSENGER_\w+|\{[^}]*\}|(?<!\w)--?[\w-]+|[/\\w.~]+\.ini|sha256:HEX|`[^`]*`", "", text)
    assert not re.findall(r"(?<![\w/.])(?:the|is|and|of|show|usage)(?!\w)", letters)


SHOWN = {"show", "say", "ask", "ask_secret", "prompt", "notice", "noted", "Mistake", "Notice"} | {
    error.__name__ for error in ERRORS.values() if issubclass(error, ExitError)
}
"""What is given to these is read by people."""
MARKS = {"_", "N_", "ngettext", "gettext", "Text"}
FILES = [file for folder in PLACES[:2] for file in sorted((PACKAGE / folder).rglob("*.py"))] + [
    PACKAGE / "config/parser.py",
    PACKAGE / "config/files.py",
]


def name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def is_text(node: ast.expr) -> bool:
    """Return whether an expression is a text with letters."""
    if isinstance(node, ast.JoinedStr):
        return any(is_text(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return is_text(node.left) or is_text(node.right)
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and any(map(str.isalpha, node.value))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_people_read_goes_through_the_catalog_in_whole_sentences(file: Path) -> None:
    for call in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(call, ast.Call) and name_of(call) in SHOWN:
            assert not any(map(is_text, call.args)), f"line {call.lineno} is not translated"
        if isinstance(call, ast.Call) and name_of(call) in MARKS:
            parts = [argument for argument in call.args if isinstance(argument, ast.JoinedStr | ast.BinOp)]
            assert not any(map(is_text, parts)), f"line {call.lineno} is pasted together"


def at_import(node: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that run while a module is imported."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.Lambda):
            yield from at_import(child)
        if isinstance(child, ast.Call):
            yield child


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nothing_is_translated_before_a_language_is_chosen(file: Path) -> None:
    called = {name_of(call) for call in at_import(ast.parse(file.read_text("utf-8")))}
    assert not called & {"_", "counted", "gettext", "spoken", "choose"}
