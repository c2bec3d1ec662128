/* Telling systemd how the service is: one datagram to the socket in $NOTIFY_SOCKET, as sd_notify(3)
 * documents.  By hand, as libsystemd would be a dependency for one sendto(). */
#ifndef LOGFOLD_CORE_NOTIFY_H
#define LOGFOLD_CORE_NOTIFY_H

/* READY=1, STOPPING=1, STATUS=…; without such a socket nothing happens. */
void lf_notify(const char *state);

/* RELOADING=1 with the time that the protocol wants beside it; READY=1 ends it. */
void lf_notify_reloading(void);

#endif
