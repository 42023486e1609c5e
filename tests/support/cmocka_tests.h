/*
 * What cmocka.h wants before it, in the order it wants it, and then the names under test: cmocka
 * itself allocates with the standard ones, and nothing may rename those.
 */
#ifndef TESTS_CMOCKA_TESTS_H
#define TESTS_CMOCKA_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "memory.h"
#include "names.h"

#endif
