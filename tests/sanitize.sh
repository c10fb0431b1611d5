#!/bin/sh
# The C programs under the address and undefined-behaviour sanitizers and under valgrind, against the release library.
#
#     cargo build --release && tests/sanitize.sh
#
# Needs cc with libasan and libubsan, and valgrind. About two minutes.
set -eu

cd "$(dirname "$0")/.."
lib=${1:-$PWD/target/release}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

fail() {
    echo "sanitize.sh: $*" >&2
    exit 1
}

[ -e "$lib/libqaio.so" ] || fail "$lib has no libqaio.so; run cargo build --release first"
command -v valgrind >/dev/null || fail "valgrind is missing; install it (apt-get install valgrind)"

san="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
export ASAN_OPTIONS=detect_leaks=1:exitcode=42 UBSAN_OPTIONS=print_stacktrace=1
export LSAN_OPTIONS=print_suppressions=0

build() { # program source flags...
    program=$1 source=$2
    shift 2
    cc -std=c99 -g -O1 -pthread "$@" -Iinclude "$source" -o "$out/$program" -L"$lib" -lqaio -Wl,-rpath,"$lib" -lm
}

echo "== the tools report what is wrong"
cat >"$out/wrong.c" <<'END'
#include "qaio.h"
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv)
{
    volatile int large = 2147483647;
    char *volatile memory = malloc(8);
    qaio_cancel *token;
    switch (argv[argc - 1][0]) {
    case 'o': memory[argc + 6] = 0; memory[argc + 7] = 0; break; /* argc is 2: past the end */
    case 'l': memory = NULL; break;                              /* a leak of ours */
    case 'h': qaio_cancel_create(&token); token = NULL; break;   /* a leak of a handle */
    case 'u': large += argc; break;                              /* signed overflow */
    }
    free(memory);
    return 0;
}
END
reports() { # what is wrong, what must be said, command...
    what=$1 wanted=$2
    shift 2
    if "$@" >"$out/report" 2>&1; then fail "$what went unnoticed; is the sanitizer linked in?"; fi
    grep -q "$wanted" "$out/report" || { cat "$out/report" >&2; fail "$what was not reported as $wanted"; }
}
build wrong "$out/wrong.c" $san
reports "an overflow" "heap-buffer-overflow" "$out/wrong" o
reports "a leak" "detected memory leaks" "$out/wrong" l
reports "a leaked handle" "detected memory leaks" "$out/wrong" h
reports "undefined behaviour" "signed integer overflow" "$out/wrong" u
"$out/wrong" nothing || fail "a program without a mistake was reported"
build wrong "$out/wrong.c"
# Not "possible" leaks: hash tables are held by a pointer into their middle, and the pool's threads may still be ending.
vg="valgrind --quiet --error-exitcode=1 --leak-check=full --show-leak-kinds=definite,indirect \
    --errors-for-leak-kinds=definite,indirect"
reports "a leaked handle" "definitely lost" $vg "$out/wrong" h

echo "== sanitizers: border"
build border tests/c/border.c $san
"$out/border" src/builtin/qaio-mini.gguf >"$out/log" || { cat "$out/log"; fail "border failed under the sanitizers"; }
echo "== sanitizers: task"
build task tests/c/task.c $san
"$out/task" >"$out/log" || { cat "$out/log"; fail "task failed under the sanitizers"; }

for example in sentiment turn_stream classify; do
    echo "== sanitizers: $example"
    build "$example" "examples/c/$example.c" $san
    "$out/$example" intent "What a day!" >"$out/log" || fail "$example failed under the sanitizers"
done

echo "== valgrind: sentiment"
build sentiment examples/c/sentiment.c
$vg "$out/sentiment" || fail "sentiment failed under valgrind"

echo "== clean"
