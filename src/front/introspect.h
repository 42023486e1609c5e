/*
 * What the heap says of itself.
 */
#ifndef DUET_FRONT_INTROSPECT_H
#define DUET_FRONT_INTROSPECT_H

/* One line to stderr with version and engine. */
void introspect_greet(void);

#endif
