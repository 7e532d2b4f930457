#!/bin/bash
# Issuing through the service against golang-cfssl's (Debian: golang-cfssl) on this machine, one after the other: P-256 requests, leaves signed by a
# P-384 CA. cfssl signs in memory and answers over HTTP on keep-alive connections; the service verifies the request, signs, and commits the
# certificate. Asked for: ten times the rate, by processor time, since a load generator takes part of the machine here and none there.
#
#     crates/service/benches/against_cfssl.sh [SIGNATURES]
set -euo pipefail
cd "$(dirname "$0")/../../.."
count=${1:-5000}
command -v cfssl cfssljson openssl python3 > /dev/null || { echo "needs cfssl, cfssljson (apt install golang-cfssl), openssl, python3" >&2; exit 1; }
folder=$(mktemp -d)
trap 'kill "${server:-}" 2> /dev/null || true; rm -rf "$folder"' EXIT
cat > "$folder/ca.json" <<'JSON'
{"CN": "cfssl", "key": {"algo": "ecdsa", "size": 384}, "ca": {"expiry": "87600h"}}
JSON
cat > "$folder/config.json" <<'JSON'
{"signing": {"default": {"expiry": "720h", "usages": ["digital signature", "client auth"]}}}
JSON
(cd "$folder" && cfssl genkey -initca ca.json 2> /dev/null | cfssljson -bare ca)
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$folder/k" -out "$folder/r" -subj /CN=device-1 2> /dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cfssl serve -address 127.0.0.1 -port "$port" -ca "$folder/ca.pem" -ca-key "$folder/ca-key.pem" -config "$folder/config.json" -loglevel 5 > "$folder/log" 2>&1 &
server=$!
theirs=$(python3 - "$port" "$folder/r" "$count" "$server" <<'PY'
import http.client, json, os, sys, threading, time

port, request, count, server = int(sys.argv[1]), open(sys.argv[2]).read(), int(sys.argv[3]), sys.argv[4]
body = json.dumps({"certificate_request": request})
CALLERS = 4

def used() -> float:
    fields = open(f"/proc/{server}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

def call(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/api/v1/cfssl/sign", body, {"Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    assert answer["success"], answer

def caller() -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(count // CALLERS):
        call(connection)

for _ in range(200):
    try:
        call(http.client.HTTPConnection("127.0.0.1", port))
        break
    except OSError:
        time.sleep(0.05)
begun, before = time.monotonic(), used()
callers = [threading.Thread(target=caller) for _ in range(CALLERS)]
for one in callers:
    one.start()
for one in callers:
    one.join()
done = count // CALLERS * CALLERS
print(f"cfssl: {done / (time.monotonic() - begun):.0f}/s; {(used() - before) / done * 1e6:.0f} µs of processor time each", file=sys.stderr)
print((used() - before) / done)
PY
)
kill "$server"
ours=$(cargo bench --quiet -p ferrohub-service --bench certificates -- issue)
echo "$ours"
echo "$ours" | python3 -c '
import re, sys
theirs, text = float(sys.argv[1]), sys.stdin.read()
rate = float(re.search(r"(\d+) a processor second", text)[1])
print(f"issuing through the service against cfssl, by processor time: {theirs * rate:.1f} to 1")' "$theirs"
