# Completion of pfa in fish, 3.4 and later; made by: pfa completion fish
function __pfa_complete
    set -l before (commandline -opc)
    set -l typed (commandline -ct)
    set -l program pfa
    string match -q '*/*' -- $before[1]; and set program $before[1]
    set -e before[1]
    set -l answer (command $program __complete fish $before "$typed" 2>/dev/null)
    if test "$answer[1]" = files
        if string match -q -- '--*=*' $typed
            set -l option (string match -r -- '^--[^=]*=' $typed)
            for path in (__fish_complete_path (string replace -r -- '^--[^=]*=' '' $typed))
                echo -- $option$path
            end
        else
            __fish_complete_path $typed
        end
        return
    end
    set -e answer[1]
    string join -- \n $answer
end
complete -c pfa -f -a '(__pfa_complete)'
