#compdef pfa
# Completion of pfa in zsh; made by: pfa completion zsh
_pfa() {
    local typed line first program="$words[1]" quote="$compstate[quote]"
    local -a answer plain said shown
    # PREFIX lacks the quote that is open, and has the backslashes that are typed.
    typed="${(Q)${:-$quote$PREFIX$quote}}"
    [[ "$program" == */* ]] || program=pfa
    answer=("${(@f)$(command "${(Q)program/#\~/$HOME}" __complete zsh "${(@Q)words[2,CURRENT-1]}" "$typed" 2>/dev/null)}")
    first="$answer[1]"
    shift answer
    if [[ "$first" == files ]]; then
        compset -P '--[^=]#='
        _files
        return
    fi
    for line in "${answer[@]}"; do
        [[ -n "$line" ]] || continue
        plain+=("${line%%$'\t'*}")
        if [[ -n "${line#*$'\t'}" ]]; then
            said=1
            shown+=("${line%%$'\t'*}  -- ${line#*$'\t'}")
        else
            shown+=("${line%%$'\t'*}")
        fi
    done
    (( $#plain )) || return 1
    local -a blank described
    [[ "$first" == nospace ]] && blank=(-S '')
    [[ -n "$said" ]] && described=(-l -d shown)
    compadd -M 'm:{[:lower:][:upper:]}={[:upper:][:lower:]}' "${blank[@]}" "${described[@]}" -a -- plain
}
if [[ "$funcstack[1]" == _pfa ]]; then
    _pfa "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef _pfa pfa
fi
