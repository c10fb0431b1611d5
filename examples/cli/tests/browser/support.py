"""What the checks share: a visitor with a browser of their own, and words for what they do."""

from contextlib import contextmanager
from playwright.sync_api import Page, expect

GOOD = "终于把bug修完了，感觉整个人都轻松了！"
BAD = "项目延期了，客户又要投诉，压力好大。"
PHONE = {"width": 360, "height": 740}
PATIENCE_MS = 30_000  # a real model on a slow machine

# Hands the events of an answer on one by one, so that there is time to stop even a reply of three words.
SLOWLY = """
const really = window.fetch;
window.fetch = async (address, options) => {
  const response = await really(address, options);
  if (!String(address).includes("/api/turn") || !response.ok || !window.slowly) return response;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const events = new ReadableStream({
    async start(out) {
      options.signal.addEventListener("abort", () => out.error(options.signal.reason));
      const pause = () => new Promise((resolve) => setTimeout(resolve, window.slowly ? 700 : 0));
      let rest = "";
      for (let part; !options.signal.aborted && !(part = await reader.read()).done; ) {
        const blocks = (rest + decoder.decode(part.value, { stream: true })).split("\\n\\n");
        rest = blocks.pop();
        for (const block of blocks) {
          if (options.signal.aborted) return;
          out.enqueue(new TextEncoder().encode(block + "\\n\\n"));
          await pause();
        }
      }
      if (!options.signal.aborted) out.close();
    },
  });
  return new Response(events, { headers: response.headers });
};
"""


class Visitor:
    """A browser without a past, on the page."""

    def __init__(self, browser, url, **context):
        self.url = url
        self.noise = []
        self.requests = []
        self.context = browser.new_context(**{"locale": "zh-CN", "viewport": {"width": 1280, "height": 800}, **context})
        self.context.add_init_script(SLOWLY)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", lambda message: self.noise.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.noise.append(f"uncaught: {error}"))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def open(self):
        self.page.goto(self.url)
        self.page.locator("#state[data-state=ready]").wait_for()
        return self.page

    def write(self, text):
        self.page.locator("#text").fill(text)
        self.page.keyboard.press("Enter")

    def say(self, text):
        """Sends `text` and waits for the whole reply; gives the turn."""
        self.write(text)
        return self.answered()

    def answered(self):
        turn = self.page.locator(".turn").last
        turn.locator(".regenerate").wait_for()
        self.page.locator("#stop").wait_for(state="hidden")
        return turn

    def reply(self, turn=None):
        return (turn or self.page.locator(".turn").last).locator(".said .words").text_content()

    def slowly(self, is_slow=True):
        """From now on replies come slowly, or the one that comes slowly hurries up."""
        self.page.evaluate(f"window.slowly = {'true' if is_slow else 'false'}")


@contextmanager
def visitor(browser, url, quiet=True, **context):
    """`quiet`: nothing may be written to the console, and nothing asked of another host."""
    guest = Visitor(browser, url, **context)
    try:
        yield guest
        elsewhere = [address for address in guest.requests if not address.startswith((url.rstrip("/"), "data:", "blob:"))]
        assert not elsewhere, f"the page asks other hosts: {elsewhere}"
        uncaught = [line for line in guest.noise if line.startswith("uncaught")]
        assert not (guest.noise if quiet else uncaught), f"the console is not clean: {guest.noise}"
    finally:
        guest.context.close()


def shown(locator, text, why):
    """`locator` shows exactly `text`."""
    expect(locator, why).to_have_text(text, timeout=PATIENCE_MS)


def problem(status, code, detail, **headers):
    """The arguments of `route.fulfill` for a refusal as the server words it."""
    import json

    body = {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code}
    return {
        "status": status,
        "headers": {"Content-Type": "application/problem+json", **{name.replace("_", "-"): value for name, value in headers.items()}},
        "body": json.dumps(body),
    }
