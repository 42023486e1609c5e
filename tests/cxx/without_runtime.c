/*
 * A C program that calls operator new by its mangled name, with no C++ runtime in the process:
 * it serves as ever, and where it would have to throw, it ends with a message.
 *
 * Usage: without_runtime [fail]
 */
#include <dlfcn.h>

#include "check.h"
#include "names.h"

extern void *new_object(size_t size) __asm__("_Znwm") __attribute__((weak));
extern void delete_object(void *ptr) __asm__("_ZdlPv") __attribute__((weak));

int main(int count, char **arguments)
{
    (void)arguments;
    require_duet();
    CHECK(dlsym(RTLD_DEFAULT, "__cxa_throw") == NULL);
    CHECK(new_object != NULL && delete_object != NULL);
    void *block = new_object(opaque_size(100));
    CHECK(block != NULL);
    memset(block, 1, 100);
    delete_object(block);
    if (count > 1)
        opaque(new_object(opaque_size(PTRDIFF_MAX))); /* does not return */
    return 0;
}
