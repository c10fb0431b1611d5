"""A conversation: one message per line, until the end of input.

python3 chat.py [model directory or GGUF file]
"""

import sys

import qaio


def main() -> int:
    model = qaio.load(sys.argv[1] if len(sys.argv) > 1 else None)
    session = model.session()
    print("> ", end="", flush=True)
    for line in sys.stdin:
        if line.strip():
            session.send(
                line.rstrip("\n"),
                on_sentiment=lambda sentiment: print(sentiment.line),
                on_piece=lambda piece: print(piece, end="", flush=True),
                max_tokens=200,
                truncate=True,
            )
            print()
        print("> ", end="", flush=True)
    print()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except qaio.QaioError as error:
        sys.exit(f"chat: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
