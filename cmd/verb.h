/* verb — what shoalctl asks a running mount, and how its answers are printed.
 */
#ifndef SHOAL_CMD_VERB_H
#define SHOAL_CMD_VERB_H

/* verb_run — argv[0] is the verb. `mountpoint`: -m's, or NULL. The exit code of
 * shoalctl; -1: there is no such verb. */
int verb_run(const char *mountpoint, int argc, char **argv);

/* The lines of these verbs, for the usage. */
extern const char verb_usage[];

#endif
