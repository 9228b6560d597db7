# Drops old block headers from a state file of anvil: keeps the genesis block and the last `keep` blocks.
#
#   awk -v keep=512 -f compact.awk state.json > smaller.json
#
# The file is one line of JSON: "best_block_number":N,"blocks":[{"header":...},...],"transactions":[...],... with the
# blocks in no particular order. Each record below is what follows one {"header":. A file of another shape is passed on
# as it is.

BEGIN { RS = "\\{\"header\":"; ORS = "" }

NR == 1 {
  known = match($0, /"best_block_number":[0-9]+,"blocks":\[$/)
  if (known) {
    best = substr($0, RSTART, RLENGTH)
    gsub(/[^0-9]/, "", best)
  }
  print
  next
}

!known { print "{\"header\":" $0; next }

{
  end = index($0, "}],\"transactions\":")
  if (end) {
    tail = substr($0, end + 1)
    block = substr($0, 1, end)
  } else {
    block = $0
    sub(/,$/, "", block)
  }
  number = block_number(block)
  if (number == 0 || number > best - keep) {
    print separator "{\"header\":" block
    separator = ","
  }
}

END { print tail }

function block_number(block,    digits, value, i) {
  if (!match(block, /"number":"0x[0-9a-f]+"/)) return 0
  digits = substr(block, RSTART + 12, RLENGTH - 13)
  value = 0
  for (i = 1; i <= length(digits); ++i) value = value * 16 + index("0123456789abcdef", substr(digits, i, 1)) - 1
  return value
}
