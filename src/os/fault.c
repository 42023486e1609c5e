/*
 * Where the tests set what is to fail; see the header.
 */
#include "os/fault.h"

unsigned fault_every;
unsigned fault_calls;
