/* The command `duet bench`. */
#ifndef DUET_TOOL_BENCH_H
#define DUET_TOOL_BENCH_H

/* Takes the words from "bench" on, and returns the exit status. */
int bench_command(int word_count, char **words);

#endif
