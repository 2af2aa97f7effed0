"""Syntax files: the words in them are the language's, and both colour a text alike."""

import json
import re
import shutil

from tap import ROOT, Failure, Skip, expect_done, run

VIM = ROOT / "share/vim"
SYNTAX = VIM / "syntax/netc.vim"
TEXTMATE = ROOT / "share/textmate/netc.tmLanguage.json"
WORDS = {"none", "picture"}  # that no table lists: a default, and where a picture comes from

TEXT = r'''# A comment, |> conv "x"
import "blocks/common.net" as c
block x |> thing(out, pad = none, act = c.relu)
{
    assert(x.channels == 3 and not false, "bad {out} \n")
    let [a, b] = x |> split(2)
    return a |> conv: conv(out, 3, pad = 1.5e-3) |> convs[i].0: c.unit(4) |> down: { 0: conv(2) |> 1: batch_norm }
}
net n(width = 4) { input p [3, 2, 2] from picture |> gray  output y = p % 2  labels "a.txt" }
'''
# The groups of vim's file, and the beginnings of TextMate's scopes that are the same.
GROUPS = {"Comment": "comment", "String": "string", "Include": "keyword.control.import", "Define": "storage",
          "Statement": "keyword.control", "WordOperator": "keyword.operator.word", "Constant": "constant.language",
          "Operator": "support.function", "Sign": "keyword.operator", "Number": "constant.numeric",
          "Argument": "variable.parameter", "Label": "entity.name.label", "Member": "variable.other.member",
          "Escape": "constant.character.escape", "Value": "variable.other"}
# Some of TEXT and what they are; the rest must be alike in both.
EXPECTED = [("import", "Include"), ("let", "Define"), ("assert", "Statement"), (".channels", "Member"), ("==", "Sign"),
            ("not", "WordOperator"), ("{out}", "Value"), ("\\n", "Escape"), ("split", "Operator"), ("1.5e-3", "Number"),
            ("convs[i].0", "Label"), ("act", "Argument"), ("picture", "Constant"), (".relu", "Member")]


def language():
    """(keywords, operators) of the scanner and of operators.def."""
    keywords = set(re.findall(r'^"([a-z]+)"\s+return \w+;', (ROOT / "grammar/net.l").read_text(), re.M))
    operators = set(re.findall(r"^OPERATOR_\w+\((\w+),", (ROOT / "compiler/front/operators.def").read_text(), re.M))
    if len(keywords) < 20 or len(operators) < 40:
        raise Failure(f"the tables are not read: {keywords}, {operators}")
    return keywords, operators


def differ(what, got, wanted):
    if got != wanted:
        raise Failure(f"{what}: too many {sorted(got - wanted)}, missing {sorted(wanted - got)}")


def check_vim_words():
    text = SYNTAX.read_text()
    keywords, operators = language()
    got = {word for line in re.findall(r"^syntax keyword netc(?!Todo)\w+ (.*)", text, re.M) for word in line.split()}
    differ("keywords of the vim file", got, keywords | WORDS)
    lists = re.findall(r"^syntax match netcOperator .*\\%\((.*)\\\)", text, re.M)
    got = {word for words in lists for word in words.split("\\|")}
    differ("operators of the vim file", got, operators)


def rules(node):
    """All rules of the grammar that match something, in their order."""
    if "include" in node:
        node = grammar()["repository"][node["include"][1:]]
    found = [node] if "match" in node or "begin" in node else []
    for inner in [] if "begin" in node else node.get("patterns", []):
        found += rules(inner)
    return found


def grammar():
    return json.loads(TEXTMATE.read_text())


def check_textmate_words():
    keywords, operators = language()
    words = {"keyword": set(), "operator": set(), "constant": set()}
    for part, found in words.items():
        for rule in rules(grammar()["repository"][part]):
            found |= set(re.fullmatch(r"\\b\(([\w|]+)\)\\b", rule["match"]).group(1).split("|"))
    differ("keywords of the TextMate grammar", words["keyword"] | words["constant"], keywords | WORDS)
    differ("operators of the TextMate grammar", words["operator"], operators)


def scopes(text):
    """The innermost scope of every character, as an editor finds them: the leftmost rule, of these the first."""
    result, known = [], rules(grammar())
    for line in text.split("\n"):
        scope, at = [""] * len(line), 0
        while at < len(line):
            found = [(re.compile(rule.get("match") or rule["begin"]).search(line, at), rule) for rule in known]
            found = [pair for pair in found if pair[0]]
            match, rule = min(found, key=lambda pair: pair[0].start(), default=(None, None))
            if not match:
                break
            end = match.end()
            if "begin" in rule:
                ends = re.finditer(r"\\.|" + f"({rule['end']})", line[end:])
                end += next(m.end() for m in ends if m.group(1) is not None)
            scope[match.start():end] = [rule.get("name", "")] * (end - match.start())
            for number, capture in rule.get("captures", {}).items():
                first, last = match.span(int(number))
                scope[first:last] = [capture["name"]] * (last - first)
            for inner in rule.get("patterns", []) if "begin" in rule else []:
                for m in re.compile(inner["match"]).finditer(line, match.start(), end):
                    scope[m.start():m.end()] = [inner["name"]] * (m.end() - m.start())
            at = max(end, at + 1)
        result.append(scope)
    return result


def group_of(scope):
    fitting = [(len(beginning), group) for group, beginning in GROUPS.items() if scope.startswith(beginning)]
    return max(fitting)[1] if fitting else ""


def textmate_groups(text):
    return [[group_of(scope) for scope in line] for line in scopes(text)]


def check_expected(lines, what):
    text = TEXT.split("\n")
    for word, group in EXPECTED:
        for number, line in enumerate(text):
            at = line.find(word)
            if at >= 0 and not line.startswith("#"):
                if set(lines[number][at:at + len(word)]) != {group}:
                    raise Failure(f"{what}: {word!r} is {lines[number][at:at + len(word)]}, not {group}")
                break


def check_textmate():
    check_expected(textmate_groups(TEXT), "TextMate")


DUMP = r"""
let out = []
for l in range(1, line('$'))
    let row = []
    for c in range(1, strlen(getline(l)))
        call add(row, substitute(synIDattr(synID(l, c, 1), 'name'), '^netc', '', ''))
    endfor
    call add(out, json_encode(row))
endfor
call writefile([&filetype, &commentstring] + out, 'groups')
qall!
"""


def check_vim(scratch):
    version = run(["vim", "--version"]).out if shutil.which("vim") else ""
    if "+syntax" not in version:
        raise Skip("vim with syntax files is not installed (Debian: vim or vim-nox)")
    folder = scratch / "vim"
    folder.mkdir(exist_ok=True)
    (folder / "text.net").write_text(TEXT)
    (folder / "dump.vim").write_text(DUMP)
    (folder / "rc.vim").write_text(f"set nocompatible\nset runtimepath^={VIM}\nfiletype plugin on\nsyntax on\n")
    command = ["vim", "-es", "-N", "-i", "NONE", "-u", "rc.vim", "text.net", "-c", "source dump.vim"]
    expect_done(run(command, cwd=folder), "vim")
    kind, comment, *rows = (folder / "groups").read_text().splitlines()
    if (kind, comment) != ("netc", "# %s"):
        raise Failure(f"the file's type is {kind!r}, its comments {comment!r}")
    vim = [json.loads(row) for row in rows]
    check_expected(vim, "vim")
    names = re.compile(r"\b(?:net|block|function)\b\s+[^{(]*")  # TextMate marks the name that is defined
    for line, ours, theirs in zip(TEXT.split("\n"), vim, textmate_groups(TEXT)):
        skip = {at for m in names.finditer(line) for at in range(*m.span())}
        for at, (a, b) in enumerate(zip(ours, theirs)):
            if a != b and line[at] != " " and at not in skip:
                raise Failure(f"vim says {a or 'nothing'}, TextMate {b or 'nothing'}: {line}\n{' ' * at}^ in that line")


def cases(scratch):
    yield "install/vim's words are the language's", check_vim_words
    yield "install/TextMate's words are the language's", check_textmate_words
    yield "install/TextMate's grammar colours a text", check_textmate
    yield "install/vim's syntax colours a text alike", lambda: check_vim(scratch)
