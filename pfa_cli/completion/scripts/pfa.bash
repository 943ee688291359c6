# Completion of pfa in bash, 3.2 and later; made by: pfa completion bash
_pfa_complete() {
    local program="${1/#\~/$HOME}" first='' line
    COMPREPLY=()
    [[ "$program" == */* ]] || program=pfa
    while IFS= read -r line; do
        if [[ -z "$first" ]]; then
            first="$line"
        else
            COMPREPLY+=("$line")
        fi
    done < <(command "$program" __complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
    case "$first" in
        files) compopt -o default 2>/dev/null ;;
        nospace) compopt -o nospace 2>/dev/null ;;
    esac
    return 0
}
complete -F _pfa_complete pfa
