/* The command `duet run`. */
#ifndef DUET_TOOL_RUN_H
#define DUET_TOOL_RUN_H

/* Takes the words from "run" on, and returns the exit status; it may also not return, but end as
 * the program was ended by a signal. */
int run_command(int word_count, char **words);

#endif
