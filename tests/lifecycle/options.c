/*
 * A program for the tests of DUET_OPTIONS: allocates a little, and prints whether the kernel
 * holds it to be privileged (AT_SECURE). Compiled with -DHAS_DEFAULTS it brings options along.
 */
#include <sys/auxv.h>

#include "check.h"
#include "names.h"

#ifdef HAS_DEFAULTS
extern const char *duet_default_options;
const char *duet_default_options = "no_such_key_in_program=1";
#endif

int main(void)
{
    require_duet();
    void *block = malloc(opaque_size(1000));
    CHECK(block != NULL);
    free(block);
    if (getauxval(AT_SECURE) != 0)
        puts("secure");
    else
        puts("plain");
    return 0;
}
