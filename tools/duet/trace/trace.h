/* The commands that have to do with traces. */
#ifndef DUET_TOOL_TRACE_H
#define DUET_TOOL_TRACE_H

/* `duet record`, `duet trace` and `duet replay`: words[0] is the command's name. Each returns the
 * exit status. */
int record_command(int word_count, char **words);
int trace_command(int word_count, char **words);
int replay_command(int word_count, char **words);

#endif
