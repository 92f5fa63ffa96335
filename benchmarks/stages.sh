# Stages of a script that must end in time: each has its own limit, a failing one stops no other.
# Source it, call `stage NAME SECONDS COMMAND...` for each, then `summary`.

readonly TOTAL_SECONDS=${TOTAL_SECONDS:-480}
# What is kept back for ending a stage that ignores its end, and for the summary.
readonly RESERVE_SECONDS=6
failures=0
report=()

# Run a command for so many seconds at most, or for what is left of the whole.
stage() {
  local name=$1 limit=$2 status=0 began=$SECONDS left
  shift 2
  left=$((TOTAL_SECONDS - RESERVE_SECONDS - SECONDS))
  if ((left < limit)); then limit=$left; fi
  if ((limit <= 0)); then
    failures=$((failures + 1))
    report+=("$(printf '%-12s not run: %d s are over' "$name" "$TOTAL_SECONDS")")
    return 0
  fi
  printf '\n== %s (at most %d s)\n' "$name" "$limit"
  timeout --kill-after=3 "$limit" "$@" || status=$?
  local said=ok
  case $status in
    0) ;;
    124 | 137) said="stopped after $limit s" ;;
    *) said="failed, exit status $status" ;;
  esac
  if ((status)); then failures=$((failures + 1)); fi
  report+=("$(printf '%-12s %4d s  %s' "$name" $((SECONDS - began)) "$said")")
}

# Say how each stage ended; exit status 1 if one failed.
summary() {
  printf '\n== summary (%d s)\n' "$SECONDS"
  printf '%s\n' "${report[@]}"
  ((failures == 0))
}
