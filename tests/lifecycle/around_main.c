/*
 * Memory before main and after it: a constructor of the highest priority a program may have,
 * atexit handlers, destructors, and a library that is closed again. Blocks cross from each to
 * the next. (Earlier still: ifunc.c.)
 *
 * Usage: around_main [PATH OF closed_library.so]. Prints one word for each stage it came
 * through; the .bats file compares them all, so that a stage that never ran is seen.
 */
#include <dlfcn.h>

#include "check.h"
#include "memory.h"
#include "names.h"

enum { CROSSING_BYTES = 3000 };

static unsigned char *from_constructor;
static unsigned char *from_main;

static void say(const char *word)
{
    CHECK(write(STDOUT_FILENO, word, strlen(word)) == (ssize_t)strlen(word));
}

static unsigned char *crossing_block(unsigned char byte)
{
    unsigned char *block = malloc(opaque_size(CROSSING_BYTES));
    CHECK(block != NULL);
    memset(block, byte, CROSSING_BYTES);
    return block;
}

static void use_heap(unsigned char byte)
{
    for (size_t size = 1; size < 400000; size = size * 3 + 7) {
        unsigned char *block = malloc(opaque_size(size));
        CHECK(block != NULL);
        memset(block, byte, size);
        block = realloc(block, opaque_size(size * 2));
        CHECK(block != NULL);
        CHECK(is_filled(block, byte, size));
        free(block);
    }
}

static void end_crossing(unsigned char *block, unsigned char byte)
{
    CHECK(block != NULL);
    CHECK(is_filled(block, byte, CROSSING_BYTES));
    free(block);
}

__attribute__((constructor(101))) static void first_constructor(void)
{
    require_duet();
    from_constructor = crossing_block('c');
    use_heap('1');
    say("constructor ");
}

__attribute__((destructor(101))) static void last_destructor(void)
{
    end_crossing(from_main, 'm');
    use_heap('2');
    say("destructor\n");
}

static void first_atexit(void)
{
    use_heap('3');
    say("atexit ");
}

static void use_closed_library(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    CHECK(library != NULL);
    unsigned char *(*make_block)(size_t) =
        (unsigned char *(*)(size_t))(uintptr_t)dlsym(library, "make_block");
    CHECK(make_block != NULL);
    unsigned char *block = make_block(CROSSING_BYTES);
    CHECK(block != NULL);
    CHECK(dlclose(library) == 0);
    CHECK(dlopen(path, RTLD_NOW | RTLD_NOLOAD) == NULL); /* it is really gone */
    end_crossing(block, 'l');
    use_heap('4');
    say("dlclose ");
}

int main(int count, char **arguments)
{
    say("main ");
    end_crossing(from_constructor, 'c');
    CHECK(atexit(first_atexit) == 0);
    from_main = crossing_block('m');
    if (count > 1)
        use_closed_library(arguments[1]);
    return 0;
}
