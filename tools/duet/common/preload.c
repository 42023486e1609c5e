/* One variable of the environment. */
#include "common/preload.h"

#include <stdio.h>
#include <stdlib.h>

#define PRELOAD_ENV "LD_PRELOAD"

bool preload_add(const char *library)
{
    const char *others = getenv(PRELOAD_ENV);
    char *value;

    if (others == NULL || *others == '\0')
        return setenv(PRELOAD_ENV, library, 1) == 0;
    if (asprintf(&value, "%s:%s", library, others) < 0)
        return false;
    bool done = setenv(PRELOAD_ENV, value, 1) == 0;
    free(value);
    return done;
}
