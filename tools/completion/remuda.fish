# Completion of `remuda` for fish. What there is to complete is asked of the program itself, as for bash.

# The verbs that may follow these: what the help lists below its heading.
function __remuda_verbs
    $argv --help 2>/dev/null | sed -n '/^\(Subcommands\|SUBCOMMANDS\):/,/^$/s/^  \([a-z][a-z-]*\).*/\1/p'
end

function __remuda_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l known $words[1]
    for word in $words[2..-1]
        # A verb is a word that the help so far knows as one; all else are options and their values.
        if not string match -q -- '-*' $word; and contains -- $word (__remuda_verbs $known)
            set -a known $word
        end
    end
    if string match -q -- '-*' $current
        $known --help 2>/dev/null | sed -nE 's/^ +(-[a-zA-Z], ?)?(--[a-z][a-z-]*).*/\2/p'
    else if string match -q -- '-*' $words[-1]
        __fish_complete_path $current
    else
        set -l verbs (__remuda_verbs $known)
        if test (count $verbs) -gt 0
            printf '%s\n' $verbs
        else
            __fish_complete_path $current
        end
    end
end

complete -c remuda -f -a '(__remuda_complete)'
