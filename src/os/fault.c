#include "os/fault.h"

unsigned fault_every;
unsigned fault_calls;
