#!/usr/bin/env bash
# The server against what others have made: a real browser, OpenAI's client, a fuzzer of its own description, a load generator.
#
#     bash examples/cli/tests/web.sh [--screenshots DIR]
#
# Needs `cargo build --release`, Python 3 with venv, chromium and wrk. What it installs goes into target/web.
set -euo pipefail
cd "$(dirname "$0")/../../.."
tests=examples/cli/tests
place=target/web
mkdir -p "$place"

python=$place/venv/bin/python
if [ ! -x "$python" ]; then python3 -m venv "$place/venv"; fi
"$python" -m pip install -q --disable-pip-version-check -r $tests/browser/requirements.txt -r $tests/api/requirements.txt

# A server on a free port, with conversations of its own.
home=$(mktemp -d)
QAIO_HOME=$home target/release/qaio serve --port 0 --json --parallel 8 --queue 64 >"$place/url.json" 2>"$place/server.log" &
server=$!
trap 'kill $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -r "$home"' EXIT
for _ in $(seq 200); do
    [ -s "$place/url.json" ] && break
    sleep 0.05
done
url=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["url"])' "$place/url.json")
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$server/status"; }

echo "--- OpenAI's client"
"$python" $tests/api/openai_client.py "$url"

echo "--- a fuzzer of /openapi.json"
# Without an answer of 5xx, whatever is sent. 503 with QUEUE_FULL does not come, 429 does.
"$place/venv/bin/schemathesis" run "${url}openapi.json" --checks not_a_server_error --max-examples 30 --workers 2 \
    --generation-database none --seed 7 --no-color | tail -25

echo "--- load: one text per request, 8 connections"
wrk -t 2 -c 8 -d 5s -s $tests/api/classify.lua "$url" >/dev/null # the first requests fill caches
before=$(resident)
seconds=${QAIO_LOAD_SECONDS:-30}
wrk -t 2 -c 8 -d "${seconds}s" --latency -s $tests/api/classify.lua "$url" | tee "$place/load.txt"
after=$(resident)
echo "resident memory: $before kB before, $after kB after"
if grep -q 'Non-2xx' "$place/load.txt"; then
    echo 'some requests of the load run were refused' >&2
    exit 1
fi
if [ "$after" -gt $((before + before / 10 + 2048)) ]; then
    echo 'resident memory grew by more than a tenth' >&2
    exit 1
fi

echo "--- a browser"
"$python" $tests/browser/run.py "$url" "$@"

kill $server
wait $server || { echo "the server ended with $?" >&2; exit 1; }
if [ -s "$place/server.log" ]; then
    echo 'the server had something to say:' >&2
    cat "$place/server.log" >&2
    exit 1
fi
