/*
 * The variable by which the dynamic loader is asked to load a library before all others.
 */
#ifndef DUET_TOOL_PRELOAD_H
#define DUET_TOOL_PRELOAD_H

#include <stdbool.h>

/* Puts the library in front of what is preloaded already, so that its malloc is the one. False with
 * errno. */
bool preload_add(const char *library);

#endif
