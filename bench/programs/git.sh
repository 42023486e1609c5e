#!/bin/sh
# git.sh FOLDER : what the workload `git` runs: many short processes, and one that packs. A history
# is imported into FOLDER/repository, walked, searched, blamed, packed anew and verified. It prints
# what git says of it, which is the same under every allocator.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
rm -rf "$1/repository"
mkdir "$1/repository"
cd "$1/repository"

# Whatever this machine's users have set for git is not ours.
export HOME="$1" XDG_CONFIG_HOME="$1" GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat LC_ALL=C
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY

git -c init.defaultBranch=main init -q --bare .
awk -f "$here/history.awk" </dev/null | git fast-import --quiet --done
git log --stat --format='%h %an %s' | cksum
git log -p -S'cell slot' --format=%h | cksum
for number in 7 31 62 93; do
    git blame --line-porcelain "main" -- "folder$((number % 9))/file$number" | cksum
done
for back in 10 50 90 130 170 210 250 290; do
    git diff --stat "main~$back" main | tail -n 1
    git rev-list --count "main~$back"
    git ls-tree -r "main~$back" | cksum
done
git -c pack.threads=1 repack -a -d -f -q --depth=50 --window=20
git fsck --full --strict
git count-objects -v | grep -e in-pack -e packs
