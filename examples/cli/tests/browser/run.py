"""Checks the chat page in a real browser, against a server that runs already.

    qaio serve --port 8080 &
    python -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python run.py http://127.0.0.1:8080/ --screenshots shots

It needs a Chromium (Debian: apt-get install chromium; elsewhere name it with --chromium). Exit code 1 when a check fails.
"""

import argparse
import pathlib
import sys
import time
from playwright.sync_api import sync_playwright

import looks
import states
import talk
from support import BAD, GOOD, visitor

LONGER = ["My flight got cancelled, and I have been sitting in this airport for nine hours.", "走丢的猫自己回家了！", GOOD]


def screenshots(browser, url, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        for width, height in ((1280, 800), (390, 844)):
            for locale in ("zh-CN", "en-US"):
                context = {"color_scheme": scheme, "viewport": {"width": width, "height": height}, "locale": locale}
                with visitor(browser, url, **context) as guest:
                    name = f"{width}x{height}-{scheme}-{locale[:2]}"
                    guest.open().screenshot(path=folder / f"{name}-first.png")
                    for text in (GOOD, BAD):
                        guest.say(text)
                    guest.page.wait_for_timeout(500)
                    guest.page.screenshot(path=folder / f"{name}-two.png")
                    for text in LONGER:
                        guest.say(text)
                    guest.page.wait_for_timeout(500)
                    guest.page.screenshot(path=folder / f"{name}-long.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="address of the running server")
    parser.add_argument("--screenshots", type=pathlib.Path, metavar="DIR", help="also take pictures of the page")
    parser.add_argument("--chromium", default="/usr/bin/chromium", metavar="FILE", help="the browser [default: %(default)s]")
    parser.add_argument("--only", default="", metavar="WORD", help="only the checks with WORD in their name")
    args = parser.parse_args()
    failed = passed = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=args.chromium)
        for check in (check for module in (talk, states, looks) for check in module.CHECKS if args.only in check.__name__):
            began = time.monotonic()
            try:
                check(browser, args.url)
                fault = None
                passed += 1
            except Exception as error:  # a check may fail in any way; the others still run
                fault = error
                failed += 1
            print(f"{'FAILED' if fault else 'ok    '} {check.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
            if fault:
                print(f"       {fault}", flush=True)
        if args.screenshots:
            screenshots(browser, args.url, args.screenshots)
        browser.close()
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
