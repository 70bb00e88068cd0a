/* notify — tell a service manager how it goes (sd_notify(3)): one datagram to
 * the socket that $NOTIFY_SOCKET names; nothing happens without one.
 *
 * Said by the process that the manager started. Thread: any. */
#ifndef SHOAL_CMD_NOTIFY_H
#define SHOAL_CMD_NOTIFY_H

void notify_ready(void);
void notify_stopping(void);

#endif
