/* The command `duet bench`. */
#ifndef DUET_TOOL_BENCH_H
#define DUET_TOOL_BENCH_H

/* The exit statuses when a run failed under some allocator, and when a signal ended the bench. */
#define STATUS_RUN_FAILED 1
#define STATUS_INTERRUPTED 130

/* Takes the words from "bench" on, and returns the exit status. */
int bench_command(int word_count, char **words);

#endif
