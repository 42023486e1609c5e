/* The command `duet compare`. */
#ifndef DUET_TOOL_COMPARE_H
#define DUET_TOOL_COMPARE_H

/* Takes the words from "compare" on, and returns the exit status. */
int compare_command(int word_count, char **words);

#endif
