/* The certificates of a control plane that runs: the first start, renewal, and what is shown.
 * Touches the disk. */
#pragma once

#include "lib/http/server.h"

struct control;

/* Decides whether TLS is spoken, and loads or makes what that takes. 0, STORE_DAMAGED, or
 * negative. */
int certificates_load(struct control *control);
/* Notes that the cluster speaks TLS, and with which certificates, and makes the first token. To be
 * called when nothing can fail any more that the next start would mend: the token's text is said
 * once. And before the writer's thread has the store. */
int certificates_begin(struct control *control);
/* The one line to copy to the hosts that are to join; nothing when there is no first token. */
void certificates_print_join_line(struct control *control);

/* From now on the files are looked at, now and then. */
int certificates_watch(struct control *control);
/* The files that the server shows; borrowed. */
struct http_tls_config certificates_files(const struct control *control);
/* After the server was made to show them. */
void certificates_note_shown(struct control *control);
/* The server shows what is in them now; the old ones when that fails. */
int certificates_show(struct control *control);
