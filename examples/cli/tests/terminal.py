"""Types into a program that runs on a terminal of its own.

usage: terminal.py STDOUT [TEXT…] -- PROGRAM [ARGUMENT…]

Standard output of the program goes to the file STDOUT. Each TEXT is typed when the prompt "> " has come. Then what the
terminal showed is printed, and the exit code of the program is this one's.
"""

import os
import pty
import select
import sys

# As it is drawn first, on a line of its own: a redrawn one does not follow a new line.
PROMPT = b"\n\r> \r"
PATIENCE = 60


def main():
    stdout, *rest = sys.argv[1:]
    split = rest.index("--")
    texts, command = rest[:split], rest[split + 1 :]
    child, terminal = pty.fork()
    if child == 0:
        os.dup2(os.open(stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 1)
        os.execv(command[0], command)
    shown = b""
    for text in texts:
        seen = b""
        while not plain(seen).endswith(PROMPT):
            seen += piece(terminal)
        shown += seen
        os.write(terminal, text.encode())
    try:
        while True:
            shown += piece(terminal)
    except OSError:
        pass  # How Linux reports that the program has gone.
    sys.stdout.buffer.write(shown)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def plain(text):
    """Without styles and cursor movements."""
    out, escape = bytearray(), False
    for byte in text:
        if byte == 0x1B:
            escape = True
        elif not escape:
            out.append(byte)
        elif chr(byte).isalpha():
            escape = False
    return bytes(out)


def piece(terminal):
    if not select.select([terminal], [], [], PATIENCE)[0]:
        sys.exit("the terminal stays silent")
    data = os.read(terminal, 4096)
    if not data:
        raise OSError
    return data


main()
