# SPDX-License-Identifier: MIT
#
# bash completion.  What there is to complete is read from --help, which is
# printed from the table that parses: nothing here can fall behind.

# "--flag ARG ARG" for each option; "--help, -h" becomes two lines.
_m9m_sandbox_options() {
	"$1" --help 2>/dev/null | sed -n '/^  --/{
		s/^  //
		s/   .*//
		s/^\(--[a-z-]*\), \(-[a-zA-Z]\)\(.*\)/\1\3\n\2\3/
		p
	}'
}

# The words that compgen finds, one a line: names may hold spaces.
_m9m_sandbox_offer() {
	mapfile -t COMPREPLY < <(compgen "$@")
}

# What an argument of this kind (the word in --help) can be.
_m9m_sandbox_argument() {
	case $1 in
	MODE)
		case $3 in
		--network) _m9m_sandbox_offer -W 'deny restricted host allow' -- "$2" ;;
		*) _m9m_sandbox_offer -W 'overlay copy ro bind' -- "$2" ;;
		esac
		;;
	KIND) _m9m_sandbox_offer -W 'auto v2 systemd v1 inherit none' -- "$2" ;;
	WHEN) _m9m_sandbox_offer -W 'auto always never' -- "$2" ;;
	LAYER) _m9m_sandbox_offer -W cgroup -- "$2" ;;
	FILE | SRC | SRC\[*) _m9m_sandbox_offer -f -- "$2" ;;
	DIR) _m9m_sandbox_offer -d -- "$2" ;;
	NAME)
		case $3 in
		--agent) _m9m_sandbox_offer -W 'claude codex aider none' -- "$2" ;;
		*env) _m9m_sandbox_offer -e -- "$2" ;;
		esac
		;;
	esac
}

_m9m_sandbox() {
	local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]}
	local -A args=()
	local flag rest i=1 kinds
	compopt -o filenames 2>/dev/null

	while read -r flag rest; do
		args[$flag]=$rest
	done < <(_m9m_sandbox_options "$program")

	while ((i < COMP_CWORD)); do
		flag=${COMP_WORDS[i]}
		[[ $flag == -* && $flag != -- ]] || break
		read -ra kinds <<<"${args[$flag]-}"
		if ((COMP_CWORD <= i + ${#kinds[@]})); then
			_m9m_sandbox_argument "${kinds[COMP_CWORD - i - 1]}" \
				"$word" "$flag"
			return
		fi
		((i += 1 + ${#kinds[@]}))
	done
	[[ ${COMP_WORDS[i]} != -- || $i -eq $COMP_CWORD ]] || ((i++))
	if ((i < COMP_CWORD)); then
		# The command's own arguments are the command's to complete.
		if declare -F _command_offset >/dev/null; then
			_command_offset "$i"
		else
			_m9m_sandbox_offer -f -- "$word"
		fi
	elif [[ $word == -* ]]; then
		_m9m_sandbox_offer -W "${!args[*]} --" -- "$word"
	else
		_m9m_sandbox_offer -c -- "$word"
	fi
}

complete -F _m9m_sandbox m9m-sandbox
