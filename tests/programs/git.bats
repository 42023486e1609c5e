# git on a repository that the test makes: history, diffs, delta compression by threads.

setup() {
    load programs.bash
    need_program git
    cd "$BATS_TEST_TMPDIR"
    export HOME=$BATS_TEST_TMPDIR GIT_CONFIG_NOSYSTEM=1
    export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_AUTHOR_DATE='2020-01-01T00:00:00Z'
    export GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c@example.org
    export GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
    make_repository
    cd repository
}

# 60 commits on 40 files that grow and change, by one fast-import.
make_repository() {
    git init -q -b main repository
    python3 - <<'END' | git -C repository fast-import --quiet
for commit in range(60):
    print("commit refs/heads/main\ncommitter c <c@example.org> %d +0000" % (1577836800 + commit))
    message = "change %d" % commit
    print("data %d\n%s" % (len(message), message))
    for file in range(40):
        if (commit + file) % 4 == 0:
            text = "".join("line %d of %d\n" % (line * (1 + (line + commit) % 7), file)
                           for line in range(50 + commit * 10))
            print("M 644 inline folder%d/file%d.txt\ndata %d\n%s" %
                  (file % 5, file, len(text), text))
    print()
END
}

@test "git log --stat" {
    same_on_both 0 git --no-pager log --stat
}

@test "git log -p, with renames and copies looked for" {
    same_on_both 0 git --no-pager log -p -M -C --find-copies-harder -20
}

@test "git gc, and the repository is whole" {
    before=$(git rev-list --objects --all | sort | sha256sum)
    on_duet git gc --quiet --aggressive --prune=now
    git fsck --strict
    [ "$(git rev-list --objects --all | sort | sha256sum)" = "$before" ]
    on_duet git fsck --strict --full
}
