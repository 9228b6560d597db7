#!/usr/bin/env bash
# Asks the chain for its block number; exit 0 when it answers within 3 s. bash only: the image has no curl.
port=${1:-8545}
body='{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}'
{ exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || exit 1
printf 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
  "${#body}" "$body" >&3
while IFS= read -r -t 3 line <&3 || [ -n "$line" ]; do
  case $line in *'"result":"0x'*) exit 0 ;; esac
done
exit 1
