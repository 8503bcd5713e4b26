# Completion of `remuda` for bash. What there is to complete is asked of the program itself, so that it is always what
# that version has.
_remuda() {
  local program=$1 current=$2 previous=$3 word help index candidates
  local -a verbs=()
  for ((index = 1; index < COMP_CWORD; ++index)); do
    word=${COMP_WORDS[index]}
    # A verb is a word that the help so far knows as one; all else are options and their values.
    if [[ $word != -* ]] && _remuda_verbs "$program" "${verbs[@]}" | grep -qxF -- "$word"; then
      verbs+=("$word")
    fi
  done
  if [[ $current == -* ]]; then
    help=$("$program" "${verbs[@]}" --help 2>/dev/null)
    candidates=$(sed -nE 's/^ +(-[a-zA-Z], ?)?(--[a-z][a-z-]*).*/\2/p' <<<"$help")
    mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "$current")
  elif [[ $previous == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -W "$(_remuda_verbs "$program" "${verbs[@]}")" -- "$current")
    if ((${#COMPREPLY[@]} == 0)); then mapfile -t COMPREPLY < <(compgen -f -- "$current"); fi
  fi
}

# The verbs that may follow these: what the help lists below its heading.
_remuda_verbs() {
  "$@" --help 2>/dev/null | sed -n '/^\(Subcommands\|SUBCOMMANDS\):/,/^$/s/^  \([a-z][a-z-]*\).*/\1/p'
}

complete -o filenames -F _remuda remuda
