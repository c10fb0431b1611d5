"""Checks of a conversation that goes well."""

import json
from support import BAD, GOOD, shown, visitor

FACES = {"正面": ("😄", "🤔"), "负面": ("😞", "🤔")}


def the_seed_s_two_messages(browser, url):
    with visitor(browser, url) as guest:
        page = guest.open()
        assert page.locator(".examples button").all_text_contents()[:2] == [GOOD, BAD], "the seed's messages are not offered"
        page.locator(".examples button").first.click()
        guest.answered()
        assert page.locator("#timeline").is_hidden(), "one message is no course yet"
        guest.say(BAD)
        for turn, text, name in zip(page.locator(".turn").all(), (GOOD, BAD), ("正面", "负面")):
            shown(turn.locator(".text"), text, "the message is not shown as written")
            shown(turn.locator(".line"), f"😄 LLM 情感判断: {name}", "the line differs from the server's")
            assert turn.locator(".badge").text_content() in FACES[name], f"the badge does not fit {name}"
            meter = turn.get_by_role("meter")
            assert 0 <= int(meter.get_attribute("aria-valuenow")) <= 100, "the score is no percentage"
            shown(turn.locator(".percent"), f"{meter.get_attribute('aria-valuenow')} %", "bar and number differ")
            assert guest.reply(turn).strip(), "the reply is empty"
        assert page.locator("#welcome").is_hidden(), "the first screen stays in the way"
        assert page.locator("#text").input_value() == "", "the field is not empty after sending"


def more_than_the_context_holds(browser, url):
    with visitor(browser, url) as guest:
        guest.open()
        for number in range(5):
            turn = guest.say(f"{number} " + "今天又忙了一整天，" * 60)
            assert guest.reply(turn).strip(), "the conversation ends when the model's context is full"


def the_course_of_the_mood(browser, url):
    with visitor(browser, url) as guest:
        page = guest.open()
        for text in (GOOD, BAD):
            guest.say(text)
        points = page.locator("#timeline .point")
        assert points.count() == 2, f"2 messages give {points.count()} points"
        up, down = points.nth(0).locator("circle.positive"), points.nth(1).locator("rect.negative")
        assert up.count() and down.count(), "the two labels do not differ in shape"
        assert up.bounding_box()["y"] < down.bounding_box()["y"], "正面 is not above 负面"
        words = page.locator("#timeline svg").get_attribute("aria-label")
        assert "2" in words and "正面" in words and "负面" in words, f"the course is not said in words: {words}"
        points.nth(0).hover()
        assert GOOD in page.locator(".tip").text_content(), "hovering does not show the message"
        points.nth(0).click()
        assert page.evaluate("document.activeElement.textContent").find(GOOD) >= 0, "clicking does not go to the message"


def stopping_a_reply(browser, url):
    with visitor(browser, url) as guest:
        page = guest.open()
        for stop in (lambda: page.locator("#stop").click(), lambda: page.keyboard.press("Escape")):
            guest.slowly()
            guest.write(GOOD)
            page.locator(".turn").last.locator(".said[aria-busy]:not(:empty)").wait_for()
            stop()
            turn = guest.answered()
            shown(turn.locator(".end"), "已停止。", "the reply does not say that it was stopped")
            assert guest.reply(turn), "what was said before the stop is gone"
            guest.slowly(False)
            guest.say(BAD)  # and the conversation goes on


def another_answer(browser, url):
    with visitor(browser, url) as guest:
        page = guest.open()
        guest.say(GOOD)
        with page.expect_request(lambda request: request.url.endswith("/api/turn")) as sent:
            page.locator(".regenerate").click()
        body = json.loads(sent.value.post_data)
        assert body["regenerate"] is True and "text" not in body, f"this does not regenerate: {body}"
        guest.answered()
        assert page.locator(".turn").count() == 1 and guest.reply(), "the answer was not replaced by another"


def a_reload_keeps_everything(browser, url):
    with visitor(browser, url) as guest:
        page = guest.open()
        for text in (GOOD, BAD):
            guest.say(text)
        before = page.locator(".text, .said .words, .line").all_text_contents()
        page.locator("#text").fill("还没写完")
        page.reload()
        guest.answered()
        page.locator(".turn").nth(1).wait_for()
        assert page.locator(".text, .said .words, .line").all_text_contents() == before, "the conversation changed"
        assert page.locator("#text").input_value() == "还没写完", "the draft is lost"


def a_new_conversation_and_back(browser, url):
    with visitor(browser, url) as guest:
        page = guest.open()
        guest.say(GOOD)
        page.locator("#new").click()
        page.locator("#welcome").wait_for()
        page.locator("#toast button").click()
        shown(page.locator(".text"), GOOD, "undo does not bring the conversation back")
        guest.say(BAD)
        assert page.locator(".turn").count() == 2, "the conversation does not go on after undo"


def copying(browser, url):
    with visitor(browser, url, permissions=["clipboard-read", "clipboard-write"]) as guest:
        page = guest.open()
        guest.say(GOOD)
        page.locator(".copy").click()
        page.locator("#toast:not(:empty)").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == guest.reply(), "the clipboard has something else"
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined }); document.execCommand = () => false")
        page.locator(".actions .tool").first.click()
        page.wait_for_function("() => getSelection().toString().length > 0")
        assert guest.reply() in page.evaluate("getSelection().toString()"), "without a clipboard the reply is not selected"


def saving(browser, url):
    with visitor(browser, url) as guest:
        page = guest.open()
        guest.say(GOOD)
        with page.expect_download() as saved:
            page.locator("#export").click()
        assert saved.value.suggested_filename.endswith(".json"), saved.value.suggested_filename
        data = json.load(open(saved.value.path(), encoding="utf-8"))
        user, assistant = data["messages"]
        assert (user["role"], user["content"]) == ("user", GOOD), user
        assert user["sentiment"]["line"].startswith("😄 LLM 情感判断: "), user
        assert (assistant["role"], assistant["content"]) == ("assistant", guest.reply()), assistant


def markup_is_text(browser, url):
    with visitor(browser, url) as guest:
        page = guest.open()
        page.on("dialog", lambda _: guest.noise.append("an alert ran"))
        for text in ("<script>alert(1)</script>", "<img src=x onerror=alert(2)> & <b>bold</b>"):
            turn = guest.say(text)
            shown(turn.locator(".text"), text, "markup is not shown as text")
        assert page.locator("#log").locator("script, img, b").count() == 0, "markup became elements"


CHECKS = [
    the_seed_s_two_messages,
    more_than_the_context_holds,
    the_course_of_the_mood,
    stopping_a_reply,
    another_answer,
    a_reload_keeps_everything,
    a_new_conversation_and_back,
    copying,
    saving,
    markup_is_text,
]
