# Process 1 of a machine: no signal from inside can end it. It opens runners on request and reaps orphans.
#   serve N        start runner N on the pipes N.in and N.status
#   serve N ours   start one beside: it may have a few processes that are not the user's
# A runner takes request numbers and answers "number status". Request 7 is the shell text in 7.run, with
# 7.stdin as its input if asked for; what it prints goes to 7.out and 7.err, so that nothing a command
# leaves in the background can ever mix with the output of a later one.
cd /run/session || exit 1
# Arguments: limits of open files, processes, KiB of address space, processor seconds; processes on top for those beside.
__users=$2
ulimit -c 0 -n "$1" -u $(($2 + $5)) -v "$3" -t "$4" || exit 1
shift 5

set -m # every runner, and every command, gets a process group of its own
echo ready
while read -r __verb __which __whose; do
  [[ $__verb == serve ]] || continue
  (
    [[ $__whose == ours ]] || ulimit -u "$__users" || exit 1
    exec <"$__which.in" 3>"$__which.status"
    # The kernel, short of memory, ends what the agent runs before it ends process 1.
    echo 500 >/proc/self/oom_score_adj
    set -m
    printf 'ready %s\n' "$BASHPID" >&3
    while read -r __request __stdin; do
      __text=
      IFS= read -r -d '' __text <"$__request.run"
      (set +m; cd ~ 2>/dev/null || cd /; eval "$__text") <"$__stdin" >>"$__request.out" 2>>"$__request.err" 3>&-
      printf '%s %s\n' "$__request" "$?" >&3
    done
  ) &
done
