/* How far a long run is, on stderr: on a terminal one line with a bar that is written over; elsewhere a line every ten seconds. */
#ifndef NETC_PROGRESS_H
#define NETC_PROGRESS_H

/* `done` of 1; `text` is what is told anywhere, `doing` what only a terminal shows. Most calls show nothing: call it often. */
void progress_show(const char *command, double done, const char *text, const char *doing);
void progress_end(void); /* clears the line */

#endif
