"""Search: folding, syntax, and access.

docs/protocol.md, section 2, "Requests" and "Names and privacy".
"""

from tests.protocol.test_history import log_in_after_messages
from tests.support.accounts import ChatServer, texts

FOUND = {
    "case": ("Deploy on Friday", "dEPLOY"),
    "Cyrillic case": ("Привет из Жуковки", "пРИВЕТ"),
    "accents": ("a naïve café", "NAIVE"),
    "accents asked for": ("a naive cafe", "café"),
    "accents taken apart": ("a nai\u0308ve cafe\u0301", "naïve"),
    "ё for е": ("зелёная ёлка", "елка"),
    "е for ё": ("зеленая елка", "ЁЛКА"),
    "wide letters": ("\uff48\uff45\uff4c\uff4c\uff4f", "hello"),
    "a word in the middle": ("first,second;third", "second"),
    "two words": ("the build is green again", "build is green"),
    "a number": ("error 404 on port 7777", "7777"),
    "Chinese inside": ("今天天气很好", "天气"),
    "Chinese, longer": ("我们明天去北京大学", "北京大学"),
    "Japanese kanji": ("東京都庁へ行きます", "京都"),
    "Japanese kana": ("カタカナとひらがな", "タカナ"),
    "Korean inside": ("대한민국만세", "민국"),
    "CJK beside Latin": ("meet at 渋谷駅 today", "渋谷"),
    "Thai": ("สวัสดี ครับ", "สวัสดี"),
    "Hindi": ("नमस्ते दुनिया", "दुनिया"),
    "Hindi vowels": ("राम आया", "राम"),
    "Tamil": ("வணக்கம் தமிழ்", "தமிழ்"),
    "Bengali": ("আমি বাংলা বলি", "বাংলা"),
    "a nukta taken apart": ("\u0958\u0932\u092e", "\u0915\u093c\u0932\u092e"),
    "Thai inside": ("สวัสดีครับผมชื่อสมชาย", "สมชาย"),
    "Thai, another word inside": ("สวัสดีครับผมชื่อสมชาย", "ครับ"),
    "Lao inside": ("ສະບາຍດີຂ້ອຍຊື່ສົມ", "ຂ້ອຍ"),
    "Khmer inside": ("សួស្តីខ្ញុំឈ្មោះសុខ", "ខ្ញុំ"),
    "Khmer with breaks that are not seen": ("សួស្តី\u200bខ្ញុំ\u200bឈ្មោះ", "ខ្ញុំឈ្មោះ"),
    "Burmese inside": ("မြန်မာဘာသာစကား", "ဘာသာ"),
    "Polish ł": ("jadę do Łodzi", "lodzi"),
    "Polish, whole": ("Łódź", "lodz"),
    "Danish": ("smørrebrød", "smorrebrod"),
    "Danish, asked for": ("smorrebrod", "smørrebrød"),
    "Croatian": ("Đorđe", "dorde"),
    "Icelandic": ("Þór og Ægir", "aegir"),
    "Turkish": ("ılık İstanbul", "ilik istanbul"),
    "Vietnamese": ("Nguyễn Đình", "nguyen dinh"),
    "Hausa": ("ɗan ƙasa", "dan kasa"),
    "German": ("Straße", "strasse"),
    "Arabic with vowels": ("هَذَا كِتَاب", "هذا كتاب"),
    "Arabic drawn out": ("كـــتاب", "كتاب"),
    "Arabic hamza": ("أحمد", "احمد"),
    "Hebrew with points": ("שָׁלוֹם", "שלום"),
    "Persian": ("می\u200cخواهم", "میخواهم"),
    "й taken apart": ("мои\u0306", "мой"),
    "Korean taken apart": ("\u1112\u1161\u11ab\u1100\u1173\u11af", "한글"),
    "kana taken apart": ("か\u3099っこう", "がっこう"),
    "narrow kana": ("ｶﾞｯｺｳ", "ガッコウ"),
    "an emoji": ("tonight 🎉", "🎉"),
    "an emoji beside a word": ("party🎉time", "time 🎉"),
    "an emoji of another colour": ("well done 👍🏽", "👍"),
    "an emoji of a colour": ("well done 👍", "👍🏿"),
    "one of a family": ("my 👨‍👩‍👧 and me", "👧"),
    "a whole family": ("my 👨‍👩‍👧 and me", "👨‍👩‍👧"),
    "who runs": ("🏃🏾‍♀️ away", "🏃"),
    "a heart however it is drawn": ("I ❤️ you", "❤"),
    "a flag": ("go 🇺🇦🇵🇱", "🇵🇱"),
    "a soft hyphen": ("data\u00adbase", "database"),
}
NOT_FOUND = {
    "another word": ("deploy on Friday", "monday"),
    "one of two words": ("deploy on Friday", "deploy monday"),
    "an alternative": ("cat", "cat OR dog"),
    "an exclusion": ("cat", "cat NOT dog"),
    "the middle of a Latin word": ("category", "ego"),
    "Chinese turned round": ("天气", "气天"),
    "another vowel": ("राम आया", "रमा"),
    "a word of the same consonants": ("काम", "की"),
    "Thai that begins in the middle of a syllable": ("สมุด", "สม"),
    "another flag of the same letters": ("🇺🇦🇵🇱", "🇦🇵"),
    "another emoji": ("tonight 🎉", "🎈"),
    "й for и": ("мои", "мой"),
}
OPERATORS = (
    '"',
    '""',
    '"unclosed',
    "it's",
    "cat OR",
    "AND",
    "NOT cat",
    "NEAR(cat dog, 5)",
    "cat*",
    "*",
    "^cat",
    "text:cat",
    "-cat",
    "+cat",
    "(cat",
    "{cat}",
    "cat)",
    "%",
    "_",
    "\\",
    "'; DROP TABLE message; --",
    "?",
    ":1",
    "#dev",
    "😀",
    "天",
    "\u0301",
    "a",
    " ",
    "x" * 4096,
    "a " * 2000,
    "天" * 2000,
)


def test_search_answers_the_newest_first_each_with_its_conversation(chat_server: ChatServer) -> None:
    hank, dale, bobby = chat_server.log_in("hank"), chat_server.log_in("dale"), chat_server.log_in("bobby")
    for client in (hank, dale):
        assert client.request("join", room="#dev")["response"] == 200
    hank.send_messages("dale", "deploy one")
    dale.send_messages("hank", "deploy two", "something else")
    dale.send_messages("#dev", "deploy three")
    bobby.send_messages("hank", "deploy four")
    hank.send_messages("bobby", "deploy five")
    bobby.send_messages("dale", "deploy six")
    answer = hank.request("search", text="deploy")
    assert (answer["response"], answer["more"]) == (200, False)
    found = [(one["with"], one["seq"], one["from"], one["message"]) for one in answer["messages"]]
    assert found == [
        ("bobby", 2, "hank", "deploy five"),
        ("bobby", 1, "bobby", "deploy four"),
        ("#dev", 1, "dale", "deploy three"),
        ("dale", 2, "dale", "deploy two"),
        ("dale", 1, "hank", "deploy one"),
    ]
    assert hank.search("deploy", **{"with": "dale"}) == ["deploy two", "deploy one"]
    assert hank.search("deploy", **{"with": "#Dev"}) == ["deploy three"]
    chat_server.restart()
    assert len(chat_server.log_in("hank").search("deploy")) == 5


def test_what_a_person_expects_is_found(chat_server: ChatServer) -> None:
    dale = log_in_after_messages(chat_server, *(text for text, _ in FOUND.values()))
    missed = {kind for kind, (text, query) in FOUND.items() if text not in dale.search(query)}
    assert missed == set()


def test_what_a_person_does_not_expect_is_not_found(chat_server: ChatServer) -> None:
    dale = log_in_after_messages(chat_server, *(text for text, _ in NOT_FOUND.values()))
    failures = {kind for kind, (text, query) in NOT_FOUND.items() if text in dale.search(query)}
    assert failures == set()


def test_operators_and_quotes_in_a_search_are_text_and_never_an_error(chat_server: ChatServer) -> None:
    dale = log_in_after_messages(chat_server, "cat", "dog", "cat or dog", 'say "cat"')
    failures = {}
    for query in OPERATORS:
        answer = dale.request("search", text=query)
        if answer["response"] != 200 or not isinstance(answer["messages"], list):
            failures[query] = answer
    assert failures == {}
    assert dale.search("cat OR dog") == ["cat or dog"]
    assert set(dale.search('"cat"')) == {"cat", "cat or dog", 'say "cat"'}


def test_what_is_found_is_cut_to_the_frame_limit_and_says_so(chat_server: ChatServer) -> None:
    messages = [f"needle {number} " + "x" * 15000 for number in range(8)]
    dale = log_in_after_messages(chat_server, *messages)
    answer = dale.request("search", text="needle")
    found = texts(answer["messages"])
    assert answer["more"] is True and 1 <= len(found) < 8
    assert found == messages[::-1][: len(found)]


def test_a_search_that_has_no_time_left_says_that_it_is_incomplete(chat_server: ChatServer) -> None:
    hank = chat_server.log_in("hank")
    hank.send_messages("hank", "needle")
    assert "incomplete" not in hank.request("search", text="needle")
    chat_server.restart(search_timeout=1e-6)
    answer = chat_server.log_in("hank").request("search", text="needle")
    assert (answer["response"], answer["messages"], answer["incomplete"]) == (200, [], True)
