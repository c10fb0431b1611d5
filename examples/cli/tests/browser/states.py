"""Checks of what stands in the way: loading, queue, refusal, no server. The refusals are put before the running server."""

import json
from support import BAD, GOOD, problem, shown, visitor

TURN = "**/api/turn"


def refuse_once(page, pattern, **answer):
    page.route(pattern, lambda route: route.fulfill(**answer), times=1)


def loading(browser, url):
    with visitor(browser, url, quiet=False) as guest:
        page = guest.page
        refusal = problem(503, "LOADING", "the model is loading", Retry_After="1")
        page.route("**/readyz", lambda route: route.fulfill(**refusal))
        page.goto(url)
        page.locator("#banner[data-state=loading]").wait_for()
        guest.write(GOOD)
        shown(page.locator(".why"), "模型还在加载，准备好后立刻发送。", "it does not say that the model loads")
        page.unroute("**/readyz")
        guest.answered()
        assert page.locator("#banner").is_hidden(), "the banner stays"


def many_people(browser, url):
    with visitor(browser, url, quiet=False) as guest:
        page = guest.open()
        refuse_once(page, TURN, **problem(429, "QUEUE_FULL", "the queue is full", Retry_After="2"))
        guest.write(GOOD)
        shown(page.locator(".why"), "现在人有点多，1 秒后自动重试", "the seconds are not counted down")
        guest.answered()
        refuse_once(page, TURN, **problem(429, "QUEUE_FULL", "the queue is full", Retry_After="60"))
        guest.write(BAD)
        page.locator(".waiting button").click()
        page.locator(".fault").wait_for()
        page.locator(".fault button").click()
        guest.answered()
        assert page.locator(".turn").count() == 2, "sending again made another message"


def a_queue(browser, url):
    with visitor(browser, url) as guest:
        page = guest.open()
        found = {"label": "负面", "score": 0.5, "unsure": True, "line": "😄 LLM 情感判断: 负面"}
        done = {"sentiment": found, "reply": {"text": "好。", "stop_reason": "end"}, "session": "x"}
        steps = [("queued", {"ahead": 3}), ("sentiment", found), ("piece", {"text": "好。"}), ("done", done)]
        body = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in steps)
        refuse_once(page, TURN, status=200, headers={"Content-Type": "text/event-stream"}, body=body)
        guest.slowly()
        guest.write(GOOD)
        shown(page.locator(".why"), "前面还有 3 人", "it does not say how many are before")
        turn = guest.answered()
        shown(turn.locator(".badge"), "🤔", "an unsure label has no face of its own")
        assert guest.reply(turn) == "好。"


def no_server(browser, url):
    with visitor(browser, url, quiet=False) as guest:
        page = guest.open()
        guest.say(GOOD)
        page.route("**/*", lambda route: route.abort("connectionrefused"))
        guest.write(BAD)
        page.locator("#banner[data-state=offline]").wait_for()
        shown(page.locator(".fault p"), "连不上服务器。", "it does not say that the server is gone")
        page.unroute("**/*")
        page.locator("#banner").wait_for(state="hidden")
        page.locator(".fault button").click()
        guest.answered()
        assert page.locator(".text").all_text_contents() == [GOOD, BAD], "the message is lost"


def unsent_survives_a_reload(browser, url):
    with visitor(browser, url, quiet=False) as guest:
        page = guest.open()
        guest.say(GOOD)
        page.route(TURN, lambda route: route.abort("connectionrefused"))
        guest.write(BAD)
        page.locator(".fault").wait_for()
        page.unroute(TURN)
        page.reload()
        page.locator(".fault button").click()
        guest.answered()
        assert page.locator(".text").all_text_contents() == [GOOD, BAD], "the message is lost"


def an_error(browser, url):
    with visitor(browser, url, quiet=False) as guest:
        page = guest.open()
        refuse_once(page, TURN, **problem(500, "INTERNAL", "the model failed: load it again"))
        guest.write(GOOD)
        shown(page.locator(".fault p"), "the model failed: load it again INTERNAL", "the server's words are not shown")
        page.locator(".fault button").click()
        guest.answered()


def a_key(browser, url):
    with visitor(browser, url, quiet=False) as guest:
        page = guest.open()
        refuse_once(page, TURN, **problem(401, "UNAUTHORIZED", "this server needs a key"))
        guest.write(GOOD)
        page.locator("#key").fill("secret")
        with page.expect_request(lambda request: request.url.endswith("/api/turn")) as sent:
            page.keyboard.press("Enter")
        assert sent.value.headers["authorization"] == "Bearer secret", "the key is not sent"
        guest.answered()


def a_forgotten_session(browser, url):
    with visitor(browser, url, quiet=False) as guest:
        page = guest.open()
        guest.say(GOOD)
        refuse_once(page, TURN, **problem(404, "NOT_FOUND", "no session has this id"))
        guest.say(BAD)
        page.locator(".divider").wait_for()
        assert page.locator(".text").all_text_contents() == [GOOD, BAD], "what was shown is gone"
        page.reload()
        guest.answered()
        shown(page.locator(".text"), BAD, "the new session is not the one that is kept")
        refuse_once(page, "**/api/sessions/*", **problem(404, "NOT_FOUND", "no session has this id"))
        page.reload()
        page.locator("#lost").wait_for()


CHECKS = [loading, many_people, a_queue, no_server, unsent_survives_a_reload, an_error, a_key, a_forgotten_session]
