"""Who should answer? Finds mood and intent of each message; an angry customer goes to a person, the rest to the assistant.

python3 triage.py "快递三天没动静，客服也不回" "请问几点开门？"      or one message per line on standard input
"""

import sys

import qaio


def route(message: str, sentiment: qaio.Task, intent: qaio.Task) -> str:
    """person: unhappy and complaining, or unhappy for sure; desk: a question; assistant: the rest."""
    mood, wish = sentiment.classify(message), intent.classify(message)
    unhappy = mood.id == "negative" and not mood.unsure
    if unhappy and (wish.id == "complaint" or mood.score > 0.9):
        return "person"
    return "desk" if wish.id == "inquiry" else "assistant"


def main() -> int:
    model = qaio.load()
    sentiment, intent = model.task("sentiment"), model.task("intent")
    for message in sys.argv[1:] or map(str.strip, sys.stdin):
        if not message:
            continue
        place = route(message, sentiment, intent)
        print(f"{place:<9}  {message}")
        if place == "assistant":
            print("          ", model.reply(message).text)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except qaio.QaioError as error:
        sys.exit(f"triage: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
