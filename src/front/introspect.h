/*
 * What the heap says of itself.
 */
#ifndef DUET_FRONT_INTROSPECT_H
#define DUET_FRONT_INTROSPECT_H

/* To stderr: one line with version and engine; the figures of duet_stats. */
void introspect_greet(void);
void introspect_print(void);

#endif
