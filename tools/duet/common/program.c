/*
 * The rules are the kernel's (fs/exec.c, security/commoncap.c) and the loader's: a preload is
 * dropped for a static program, for another machine, and in "secure" runs, those whose rights
 * change at exec.
 */
#include "common/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/say.h"

/* The kernel reads this much of a file to find "#!" and its line (BINPRM_BUF_SIZE), and follows
 * this many interpreters of interpreters. */
#define FIRST_LINE_BYTES 256
#define INTERPRETER_DEPTH 5

/* ---- Finding ------------------------------------------------------------------------------ */

/* Whether the file can be executed; otherwise errno says why not. */
static bool can_execute(const char *path)
{
    struct stat status;

    if (stat(path, &status) != 0)
        return false;
    if (!S_ISREG(status.st_mode)) {
        errno = S_ISDIR(status.st_mode) ? EISDIR : EACCES;
        return false;
    }
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

static int say_not_found(const char *name, int error)
{
    if (error == ENOENT && strchr(name, '/') == NULL) {
        say("'%s' was not found in PATH", name);
        return STATUS_NOT_FOUND;
    }
    say("cannot run '%s': %s", name, strerror(error));
    return error == ENOENT || error == ENOTDIR ? STATUS_NOT_FOUND : STATUS_NOT_RUNNABLE;
}

/* The search path in force, allocated: what the C library assumes where PATH is not set. */
static char *search_path(void)
{
    const char *path = getenv("PATH");
    if (path != NULL)
        return strdup(path);

    size_t size = confstr(_CS_PATH, NULL, 0);
    char *standard = malloc(size + 1);
    if (standard != NULL)
        confstr(_CS_PATH, standard, size);
    return standard;
}

/* Puts the file to execute in *path. Returns 0, or errno with *path NULL. */
static int look_up(const char *name, char **path)
{
    *path = NULL;
    if (strchr(name, '/') != NULL) {
        if (!can_execute(name))
            return errno;
        *path = strdup(name);
        return *path != NULL ? 0 : ENOMEM;
    }

    /* As execvp: a file that is there but may not be executed does not end the search, but is
     * what the message is about if nothing better follows. */
    int error = ENOENT;
    char *folders = search_path();
    if (folders == NULL)
        return ENOMEM;
    for (char *rest = folders; rest != NULL && *name != '\0';) {
        const char *folder = strsep(&rest, ":");
        if (asprintf(path, "%s/%s", *folder != '\0' ? folder : ".", name) < 0) {
            *path = NULL;
            error = ENOMEM;
            break;
        }
        if (can_execute(*path)) {
            free(folders);
            return 0;
        }
        if (errno == EACCES)
            error = EACCES;
        free(*path);
        *path = NULL;
    }
    free(folders);
    return error;
}

int program_find(const char *name, char **path)
{
    int error = look_up(name, path);

    return error != 0 ? say_not_found(name, error) : 0;
}

bool program_is_there(const char *name)
{
    char *path;
    int error = look_up(name, &path);

    free(path);
    return error == 0;
}

/* ---- Checking ----------------------------------------------------------------------------- */

/* Whether executing the file changes the rights of the process, so that the loader takes nothing
 * from the environment. `why` then names the cause. */
static bool runs_secure(int fd, const char **why)
{
    struct stat status;
    struct statvfs filesystem;

    if (fstat(fd, &status) != 0 || fstatvfs(fd, &filesystem) != 0)
        return false;
    if ((filesystem.f_flag & ST_NOSUID) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        return false;

    if ((status.st_mode & S_ISUID) != 0 && status.st_uid != getuid()) {
        *why = "is setuid";
        return true;
    }
    if ((status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
        status.st_gid != getgid()) {
        *why = "is setgid";
        return true;
    }
    /* Root has the capabilities anyway, so that nothing changes. */
    if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0) {
        *why = "has file capabilities";
        return true;
    }
    return false;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* The facts of this tool, which runs under the same loader as the library will. */
static const struct elf_facts *own_facts(void)
{
    static struct elf_facts own;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        elf_read(fd, &own);
        close(fd);
    }
    return &own;
}

/* The loader itself may be run by hand to run a program: it asks for no loader, yet preloads. */
static bool is_own_loader(int fd)
{
    struct stat theirs;
    struct stat ours;

    return stat(own_facts()->loader, &ours) == 0 && fstat(fd, &theirs) == 0 &&
           ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

static int check_elf(const char *name, int fd, const struct elf_facts *facts,
                     const struct elf_facts *library)
{
    const char *why;

    if (facts->kind == ELF_DAMAGED) {
        say("cannot run '%s': its ELF headers are damaged", name);
        return STATUS_NOT_RUNNABLE;
    }
    if (!elf_same_machine(facts, library)) {
        char theirs[64];
        snprintf(theirs, sizeof theirs, "%s", elf_machine_name(facts));
        say("cannot run '%s' on duet: it is for %s, the library for %s", name, theirs,
            elf_machine_name(library));
        return STATUS_NOT_RUNNABLE;
    }
    if (facts->kind == ELF_STATIC && !is_own_loader(fd)) {
        say("cannot run '%s' on duet: it is statically linked, so nothing can be preloaded into it",
            name);
        return STATUS_NOT_RUNNABLE;
    }
    if (facts->kind == ELF_DYNAMIC && access(facts->loader, F_OK) != 0) {
        say("cannot run '%s': its dynamic loader %s: %s", name, facts->loader, strerror(errno));
        return STATUS_NOT_FOUND;
    }
    if (facts->kind == ELF_DYNAMIC &&
        strcmp(base_name(facts->loader), base_name(own_facts()->loader)) != 0) {
        say("cannot run '%s' on duet: it is for another C library (%s) than this duet (%s)", name,
            base_name(facts->loader), base_name(own_facts()->loader));
        return STATUS_NOT_RUNNABLE;
    }
    if (runs_secure(fd, &why)) {
        say("cannot run '%s' on duet: it %s, so the loader ignores LD_PRELOAD", name, why);
        return STATUS_NOT_RUNNABLE;
    }
    return 0;
}

/* Reads the interpreter that the first line names into `line`, and returns it; NULL: none. */
static char *read_interpreter(int fd, char *line)
{
    ssize_t length = pread(fd, line, FIRST_LINE_BYTES, 0);

    if (length < 2 || line[0] != '#' || line[1] != '!')
        return NULL;
    line[length] = '\0';
    line[strcspn(line, "\n")] = '\0';

    char *interpreter = line + 2 + strspn(line + 2, " \t");
    interpreter[strcspn(interpreter, " \t")] = '\0';
    return *interpreter != '\0' ? interpreter : NULL;
}

int program_check(const char *name, const char *path, const struct elf_facts *library)
{
    char lines[INTERPRETER_DEPTH][FIRST_LINE_BYTES + 1];

    for (int depth = 0; depth < INTERPRETER_DEPTH; depth++) {
        struct elf_facts facts;
        /* What may be executed but not read cannot be looked at; the report tells afterwards. */
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return 0;

        elf_read(fd, &facts);
        if (facts.kind != ELF_ABSENT) {
            int status = check_elf(path, fd, &facts, library);
            close(fd);
            return status;
        }
        const char *interpreter = read_interpreter(fd, lines[depth]);
        close(fd);
        /* Neither: the kernel may know the format, else the shell is to run it, as in execvp. */
        if (interpreter == NULL)
            return 0;
        if (!can_execute(interpreter)) {
            say("cannot run '%s': its interpreter %s: %s", name, interpreter, strerror(errno));
            return errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_RUNNABLE;
        }
        path = interpreter;
    }
    say("cannot run '%s': its interpreter is a script, whose interpreter is a script, and so on",
        name);
    return STATUS_NOT_RUNNABLE;
}
