/*
 * The C program: opens the library that is its argument.
 */
#include <dlfcn.h>

#include "check.h"
#include "names.h"

int main(int count, char **arguments)
{
    require_duet();
    CHECK(count == 2);
    CHECK(dlsym(RTLD_DEFAULT, "__cxa_throw") == NULL); /* no runtime so far */
    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    int (*run_out_of_memory)(void) = (int (*)(void))dlsym(library, "run_out_of_memory");
    CHECK(run_out_of_memory != NULL);
    CHECK(run_out_of_memory() == 3);
    return 0;
}
