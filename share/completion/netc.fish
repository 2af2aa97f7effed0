# Completion of netc for fish. It asks the netc that would run (netc --complete, see compiler/complete.c), so it knows
# what that one knows.
function __netc_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l netc (string replace -r '^~' $HOME -- $words[1])
    for line in ($netc --complete $words[2..-1] "$typed" 2> /dev/null)
        if not string match -q \t'*' -- $line
            echo $line
            continue
        end
        # An order: files or folders, behind so many characters, with these endings.
        set -l order (string split ' ' -- (string sub -s 2 -- $line))
        set -l start (string sub -l $order[2] -- "$typed")
        set -l path (string sub -s (math $order[2] + 1) -- "$typed")
        set -l all (complete -C "__fish_command_without_completions $path" | string replace -r '\t.*' '')
        set -l fitting (string match -r -- '.*/$' $all)
        set -q order[3]; or test $order[1] = folders; or set fitting $all
        for ending in $order[3..-1]
            set fitting $fitting (string match -- "*$ending" $all)
        end
        set -q fitting[1]; or set fitting $all # none that fits: all
        string join \n -- $start$fitting
    end
end
complete -c netc -f -k -a '(__netc_complete)'
