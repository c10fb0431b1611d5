"""Checks of how the page looks and whom it serves: languages, themes, keyboard, phone, screen readers."""

from axe_playwright_python.sync_playwright import Axe
from support import BAD, GOOD, PHONE, shown, visitor

GRAVE = ("serious", "critical")


def both_languages(browser, url):
    with visitor(browser, url) as guest:
        page = guest.open()
        assert page.locator("html").get_attribute("lang") == "zh-CN", "a Chinese browser gets another language"
        guest.say(GOOD)
        page.locator("#language").click()
        assert page.locator("html").get_attribute("lang") == "en", "lang does not follow"
        shown(page.locator(".gloss"), "positive", "the label has no English gloss")
        shown(page.locator(".line"), "😄 LLM 情感判断: 正面", "the line must stay as it is")
        page.reload()
        page.get_by_placeholder("Say something").wait_for()
        missing = page.locator("[data-say]").evaluate_all("all => all.filter(one => one.textContent === 'undefined').length")
        assert missing == 0, "a sentence is missing in English"
    with visitor(browser, url, locale="de-DE") as guest:
        assert guest.open().locator("html").get_attribute("lang") == "en", "other languages do not get English"


def both_themes(browser, url):
    ground = "getComputedStyle(document.body).backgroundColor"
    with visitor(browser, url, color_scheme="dark") as guest:
        page = guest.open()
        dark = page.evaluate(ground)
        page.locator("#theme").click()
        page.wait_for_function(f"() => {ground} !== '{dark}'")
        page.reload()
        page.wait_for_function(f"() => {ground} !== '{dark}'")
        page.locator("#theme").click()
        page.wait_for_function(f"() => {ground} === '{dark}'")


def keyboard_only(browser, url):
    with visitor(browser, url) as guest:
        page = guest.open()
        keys = page.keyboard
        keys.type("第一行")
        keys.press("Shift+Enter")
        keys.type("第二行")
        page.evaluate("""document.activeElement.dispatchEvent(new KeyboardEvent("keydown",
            { key: "Enter", isComposing: true, bubbles: true, cancelable: true }))""")
        assert page.locator(".turn").count() == 0, "Enter sends in the middle of an input method's word"
        keys.press("Enter")
        shown(guest.answered().locator(".text"), "第一行\n第二行", "Shift+Enter makes no new line")
        guest.say(BAD)
        while page.evaluate("document.activeElement.className") != "skip":
            keys.press("Shift+Tab")
        reached = []
        for _ in range(16):
            keys.press("Tab")
            reached.append(page.evaluate("(document.activeElement.id || document.activeElement.getAttribute('class')) ?? 'a'"))
        order = ["new", "export", "language", "theme", "help", "point", "tool copy", "tool regenerate", "text", "a"]
        places = [reached.index(name) if name in reached else -1 for name in order]
        assert places == sorted(places) and places[0] >= 0, f"Tab goes {reached}, it should pass {order}"
        page.evaluate("document.activeElement.blur()")
        keys.press("?")
        page.locator("#helpDialog[open]").wait_for()
        keys.press("Escape")
        page.locator("#helpDialog").wait_for(state="hidden")
        keys.press("/")
        assert page.evaluate("document.activeElement.id") == "text", "/ does not lead to the field"
        while page.evaluate("document.activeElement.getAttribute('class')") != "point":
            keys.press("Shift+Tab")
        keys.press("ArrowLeft")
        keys.press("Enter")
        assert "第一行" in page.evaluate("document.activeElement.textContent"), "Enter on a point does not go to its message"


def narrow_phone(browser, url):
    with visitor(browser, url, viewport=PHONE, has_touch=True, is_mobile=True) as guest:
        page = guest.open()
        wide = "document.documentElement.scrollWidth > innerWidth || document.querySelector('#main').scrollWidth > innerWidth"
        assert not page.evaluate(wide), "the first screen scrolls sideways"
        guest.say("啊" * 100 + "w" * 300)
        guest.say(BAD)
        assert not page.evaluate(wide), "a long word makes the page scroll sideways"
        for button in page.locator("button:visible").all():
            box = button.bounding_box()
            name = button.get_attribute("aria-label") or button.text_content()
            assert box["width"] >= 44 and box["height"] >= 44, f"{name} is only {box['width']} x {box['height']}"
        field = page.locator("#text").bounding_box()
        assert field["y"] + field["height"] <= PHONE["height"], "the field is below the screen"


def screen_readers(browser, url):
    with visitor(browser, url) as guest:
        page = guest.open()
        guest.slowly()
        guest.write(GOOD)
        page.locator(".said[aria-busy]:not(:empty)").wait_for()
        assert page.locator(".said").get_attribute("aria-live") == "off", "each token is read aloud"
        guest.slowly(False)
        guest.answered()
        assert page.locator(".said").get_attribute("aria-live") is None, "the whole reply is not read"
        assert page.get_by_role("log").get_attribute("aria-live") == "polite", "the log is not polite"


def reading_above(browser, url):
    with visitor(browser, url, viewport={"width": 800, "height": 420}) as guest:
        page = guest.open()
        for text in (GOOD, BAD, GOOD):
            guest.say(text)
        at_end = "(main => main.scrollHeight - main.scrollTop - main.clientHeight < 60)(document.querySelector('#main'))"
        assert page.evaluate(at_end), "the page does not follow the conversation"
        guest.slowly()
        guest.write(BAD)
        page.locator(".said[aria-busy]:not(:empty)").wait_for()
        page.evaluate("document.querySelector('#main').scrollTop = 0")
        guest.slowly(False)
        guest.answered()
        assert page.evaluate("document.querySelector('#main').scrollTop") == 0, "the page pulls a reader down"
        page.locator("#latest").click()
        page.wait_for_function(f"() => {at_end}")


def no_grave_faults(browser, url):
    for scheme in ("light", "dark"):
        for size in ({"width": 1280, "height": 800}, PHONE):
            with visitor(browser, url, color_scheme=scheme, viewport=size, reduced_motion="reduce") as guest:
                page = guest.open()
                where = f"{scheme}, {size['width']} px"
                faultless(page, f"{where}, first screen")
                for text in (GOOD, BAD):
                    guest.say(text)
                page.wait_for_timeout(400)  # colours come to rest
                faultless(page, f"{where}, conversation")
                page.locator("#help").click()
                faultless(page, f"{where}, shortcuts")


def faultless(page, where):
    faults = [fault for fault in Axe().run(page).response["violations"] if fault["impact"] in GRAVE]
    words = [f"{fault['id']}: {[node['html'][:120] for node in fault['nodes']]}" for fault in faults]
    assert not faults, f"{where}: {words}"


CHECKS = [both_languages, both_themes, keyboard_only, narrow_phone, screen_readers, reading_above, no_grave_faults]
