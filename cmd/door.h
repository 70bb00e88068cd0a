/* door — how a locked-in daemon opens the files that a user lends it.
 *
 * Which directories come is not known when it locks itself in, and Landlock's
 * rules cannot be loosened. The holder (cmd/holder.h) is not locked in; it
 * opens files for the daemon, beneath a directory that the daemon can show it.
 */
#ifndef SHOAL_CMD_DOOR_H
#define SHOAL_CMD_DOOR_H

#include "cache/store_lend.h"

struct held;

/* What goes over the line is a word of one byte and a path, with a directory
 * and a socket. */
enum { DOOR_WORD = 'O', DOOR_FDS = 2, DOOR_LINE_BYTES = 4096 };

/* door_of — in the daemon; keeps `h`. */
struct lend_door door_of(const struct held *h);

/* door_answer — in a child of the holder: open it, and say so over `reply`. */
void door_answer(int dir_fd, int reply, const char *path);

#endif
