# The history that the workload `git` imports, as git fast-import reads it: 400 commits to a tree of
# 120 files, which are edited line by line, so that most of what git stores are small differences.
# The numbers are always the same, and so is all that git makes of them.

function below(limit) {
    state = (state * 69069 + 12345) % 4294967296
    return int(state / 65536) % limit
}

function line_text() {
    return words[below(10)] " " words[below(10)] " " below(100000) " " words[below(10)]
}

function put_file(number,    text, i) {
    text = ""
    for (i = 1; i <= lines[number]; i++)
        text = text line[number, i] "\n"
    printf "M 100644 inline folder%d/file%d\ndata %d\n%s\n", number % 9, number, length(text), text
}

function begin_commit(number,    text) {
    text = "Change " number ": " line_text() "\n"
    printf "commit refs/heads/main\nmark :%d\n", number
    printf "committer Author %d <author%d@example.org> %d +0000\n", number % 7, number % 7,
        1700000000 + number * 3600
    printf "data %d\n%s", length(text), text
    if (number > 1)
        printf "from :%d\n", number - 1
}

BEGIN {
    state = 20261126
    split("heap cell group page slot ring span meta free", words)
    words[0] = "list"
    for (file = 0; file < 120; file++) {
        lines[file] = 40 + below(160)
        for (i = 1; i <= lines[file]; i++)
            line[file, i] = line_text()
    }
    begin_commit(1)
    for (file = 0; file < 120; file++)
        put_file(file)
    for (commit = 2; commit <= 400; commit++) {
        begin_commit(commit)
        for (k = 0; k < 3; k++) {
            file = below(120)
            for (edit = 0; edit < 4; edit++)
                line[file, 1 + below(lines[file])] = line_text()
            put_file(file)
        }
    }
    print "done"
}
