# SPDX-License-Identifier: MIT
#
# fish completion, read from --help.

function __m9m_sandbox_values
    switch $argv[1]
        case MODE
            if test $argv[2] = network
                string split ' ' 'deny restricted host allow'
            else
                string split ' ' 'overlay copy ro bind'
            end
        case KIND
            string split ' ' 'auto v2 systemd v1 inherit none'
        case WHEN
            string split ' ' 'auto always never'
        case LAYER
            echo cgroup
    end
end

set -g __m9m_sandbox_with_values
for line in (m9m-sandbox --help 2>/dev/null | string match -r '^  --.*')
    set -l parts (string split -n -m 1 -- '   ' (string sub -s 3 -- $line))
    set -l words (string split ' ' -- (string replace -r ', -.' '' -- $parts[1]))
    set -l flag (string sub -s 3 -- $words[1])
    set -l text (string trim -- $parts[2])
    if not set -q words[2]
        complete -c m9m-sandbox -l $flag -d $text
    else if contains -- $words[2] MODE KIND WHEN LAYER
        complete -c m9m-sandbox -l $flag -d $text -x -a "(__m9m_sandbox_values $words[2] $flag)"
    else
        complete -c m9m-sandbox -l $flag -d $text -r
    end
    set -q words[2]; and set -a __m9m_sandbox_with_values --$flag
end
complete -c m9m-sandbox -x -a '(__fish_complete_subcommand -- $__m9m_sandbox_with_values)'
