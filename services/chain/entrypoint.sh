#!/bin/sh
# Runs anvil as the swarm's own chain, with a state that survives restarts, kills and a damaged file.
#
# anvil dumps its state to a file in memory; whenever that changed, a compressed copy goes to the volume, atomically:
# state.json.gz, the two before it are state.json.gz.1 and .2. At start the newest copy that is whole is loaded.
# Old blocks are dropped at start and whenever the state has grown by GROWTH bytes (anvil is then restarted, one second).
# Gas is free, so no account needs funds, and there are no development accounts.
set -u

here=$(dirname "$0")
volume=${CHAIN_STATE_DIR:-/chain-state}
work=${CHAIN_WORK_DIR:-/tmp/chain}
host=${CHAIN_HOST:-0.0.0.0}
port=${CHAIN_PORT:-8545}
chain_id=${SWARM_CHAIN_ID:-53855}
KEEP_BLOCKS=512       # headers kept, besides the genesis block
KEEP_TRANSACTIONS=256 # blocks whose transactions and receipts are kept
KEEP_STATES=4         # past states that eth_call can ask for
GROWTH=${CHAIN_GROWTH_BYTES:-8388608}
START_SECONDS=60
STOP_SECONDS=20

live=$work/state.json
newest=$volume/state.json.gz
anvil=
stopping=
saved_mark=
saved_sum=
save_failed=

say() { # level, message
  if [ "${SWARM_LOG_FORMAT:-text}" = json ]; then
    printf '{"time": %s, "level": "%s", "process": "chain", "event": "%s"}\n' "$(date +%s)" "$1" "$(printf %s "$2" | tr -d '"\\')" >&2
  else
    printf '%s %-7s chain: %s\n' "$(date -u +%H:%M:%S)" "$1" "$2" >&2
  fi
}

fail() { # exit code, message
  say error "$2"
  [ -z "$anvil" ] || kill -TERM "$anvil" 2>/dev/null
  exit "$1"
}

pause() { # seconds; a signal ends it
  sleep "$1" &
  sleeper=$!
  wait "$sleeper"
  kill "$sleeper" 2>/dev/null
}

mark() { stat -c '%s %y' "$live" 2>/dev/null || echo 0; } # size in bytes, then when it was written

complete() { # whether the dump in $live was written to its end
  case $(tail -c 32 "$live" 2>/dev/null) in *'"historical_states":null}') return 0 ;; esac
  return 1
}

# Puts the dump on the volume if it changed. A dump that anvil is still writing is left for the next time.
save() {
  before=$(mark)
  if [ "$before" = "$saved_mark" ] || ! complete; then return 0; fi
  sum=$(cksum <"$live")
  if [ "$sum" = "$saved_sum" ]; then
    saved_mark=$before
    return 0
  fi
  if ! gzip -1 <"$live" >"$volume/.new" 2>/dev/null || ! sync "$volume/.new"; then
    [ -n "$save_failed" ] || say error "The state cannot be written to $volume: free some space there."
    save_failed=1
    return 1
  fi
  [ "$(mark)" = "$before" ] || return 0
  if [ -e "$newest.1" ]; then mv -f "$newest.1" "$newest.2"; fi
  if [ -e "$newest" ]; then ln -f "$newest" "$newest.1"; fi
  mv -f "$volume/.new" "$newest"
  [ -z "$save_failed" ] || say info "The state can be written again."
  save_failed=
  saved_mark=$before
  saved_sum=$sum
}

compact() {
  awk -v keep="$KEEP_BLOCKS" -f "$here/compact.awk" "$live" >"$work/compact.json" || fail 1 "The state cannot be compacted in $work: give /tmp more room."
  mv -f "$work/compact.json" "$live"
}

# Starts anvil on $live (a new chain if there is none); 0 when it answers.
start() {
  seen=$(mark)
  allowed=$((${seen%% *} + GROWTH))
  interval=$((allowed / 4194304)) # seconds between dumps: a larger state is dumped less often
  [ "$interval" -ge 2 ] || interval=2
  HOME=$work anvil --host "$host" --port "$port" --chain-id "$chain_id" --gas-price 0 --base-fee 0 --accounts 0 \
    --no-cors --quiet --state "$live" --state-interval "$interval" \
    --slots-in-an-epoch 1 --transaction-block-keeper "$KEEP_TRANSACTIONS" --prune-history "$KEEP_STATES" >"$work/anvil.log" 2>&1 &
  anvil=$!
  polls=$((START_SECONDS * 10))
  until bash "$here/healthcheck.sh" "$port"; do
    polls=$((polls - 1))
    if [ -n "$stopping" ] || [ "$polls" -le 0 ] || ! kill -0 "$anvil" 2>/dev/null; then
      stop
      return 1
    fi
    pause 0.1
  done
  return 0
}

# Ends anvil, which dumps its state; kills it if that takes too long.
stop() {
  kill -TERM "$anvil" 2>/dev/null || return 0
  polls=$((STOP_SECONDS * 10))
  while kill -0 "$anvil" 2>/dev/null; do
    polls=$((polls - 1))
    [ "$polls" -gt 0 ] || kill -KILL "$anvil" 2>/dev/null
    sleep 0.1
  done
  wait "$anvil" 2>/dev/null
}

# Loads the newest copy that is whole and that anvil takes. Copies that had to be passed over are renamed to *.damaged.
restore() {
  passed=
  for copy in "$newest" "$newest.1" "$newest.2"; do
    [ -e "$copy" ] || continue
    if gzip -t "$copy" 2>/dev/null; then
      gzip -dc "$copy" >"$live" || fail 1 "The state cannot be unpacked in $work: give /tmp more room."
      compact
      if complete && start; then
        for bad in $passed; do mv -f "$bad" "$bad.damaged"; done
        [ -z "$passed" ] || say warning "Went back to the older state in $copy."
        return 0
      fi
      [ -z "$stopping" ] || exit 0
    fi
    say warning "The state in $copy is damaged, trying an older one. $(tail -n 1 "$work/anvil.log" 2>/dev/null)"
    passed="$passed $copy"
  done
  [ -z "$passed" ] || fail 78 "No copy of the state in $volume can be used. Remedy: restore it from a backup, or empty the volume to begin a new chain."
  rm -f "$live"
  say info "No state in $volume: a new chain begins."
  start || { [ -n "$stopping" ] && exit 0; fail 1 "anvil does not start: $(tail -n 1 "$work/anvil.log")"; }
}

case $chain_id in
'' | *[!0-9]* | 0*) fail 78 "SWARM_CHAIN_ID is '$chain_id', it must be a number above 0. Remedy: correct .env." ;;
esac
umask 077
mkdir -p "$work" 2>/dev/null && : >"$work/anvil.log" || fail 78 "$work cannot be written by uid $(id -u). Remedy: mount /tmp as tmpfs."
{ mkdir -p "$volume" && : >"$volume/.new"; } 2>/dev/null || fail 78 "$volume cannot be written by uid $(id -u). Remedy: check the chain-state volume and its owner."

trap 'stopping=1' TERM INT
restore
say info "Chain $chain_id serves on port $port."
while [ -z "$stopping" ]; do
  pause 1
  if ! kill -0 "$anvil" 2>/dev/null; then
    wait "$anvil"
    code=$?
    save
    fail 1 "anvil ended with code $code. $(tail -n 1 "$work/anvil.log")"
  fi
  save
  if [ "${before%% *}" -gt "$allowed" ]; then
    say info "Dropping old blocks."
    stop
    save
    compact
    start || { [ -n "$stopping" ] || fail 1 "anvil does not start: $(tail -n 1 "$work/anvil.log")"; }
  fi
done
say info "Stopping."
stop
save || exit 1
exit 0
