/* The control plane's certificates: what the server shows, what nodes are given. Touches the disk.
 *
 * The CA is the control plane's own, and signs for nodes and the admin. What the server shows may
 * come from it, too, or was given on the command line; then nodes are told the given CA besides.
 */
#pragma once

#include <stdint.h>

#include "lib/tls/chain.h"
#include "lib/tls/pki_files.h"

enum pki_mode {
    PKI_UNSAID,
    PKI_AUTO, /* with the CA that is there; the first start makes it */
    PKI_NEW,  /* and in place of one that is lost, or not given any more, another one */
    PKI_OFF,
};

struct pki_options {
    enum pki_mode mode;
    const char *dir;       /* NULL: none was given */
    const char *cert_file; /* given ones, or NULL */
    const char *key_file;
    const char *ca_file;    /* NULL: the root is in cert_file */
    uint32_t listen_addr;   /* host order; 0: all */
    const char *extra_name; /* another name of the server; NULL: none */
    int64_t node_life_s;
};

/* Of a given certificate. */
enum pki_time { PKI_IN_TIME, PKI_ENDS_SOON, PKI_OUT_OF_TIME };

#define PKI_ADDRS_MAX 64
#define PKI_HOSTS_MAX 3

struct pki {
    struct pki_options options;
    char *dir;
    struct pki_files *files;
    char *cert_file, *key_file;         /* that the server shows */
    struct tls_chain *given;            /* what --tls-cert has; NULL: it was not given */
    size_t given_roots;                 /* that come first among those that are told */
    char given_sha256[SHA256_HEX_SIZE]; /* of those */
    enum pki_time given_time;           /* as the log has it */
    char *told_pem;                     /* the CAs that nodes are told; owned */
    char told_sha256[SHA256_HEX_SIZE];
    struct tls_trust *told;
    struct sha256 signer_spki;     /* of the CA that signs now */
    uint64_t edition;              /* raised whenever trust may have changed */
    uint32_t addrs[PKI_ADDRS_MAX]; /* of the server */
    size_t addr_count;
    const char *hosts[PKI_HOSTS_MAX];
    char *hostname;
    /* Of files that may change: of the server's pair when it was looked at last, and when it was
     * shown; of the given CA that is told. */
    uint64_t read_stamp, shown_stamp, told_stamp;
};

/* What the database says of the starts before. */
struct pki_past {
    bool has_spoken; /* TLS */
    bool is_wanted;  /* it was founded to */
    bool was_given;  /* it showed given certificates the last time */
};

/* Whether the options alone ask for TLS. */
bool pki_is_asked_for(const struct pki_options *options);
/* Whether what is given lies elsewhere than what the control plane makes itself: 0, or -EINVAL with
 * a text. */
int pki_check_options(const struct pki_options *options, const char *db_path);
/* Whether the server is to speak TLS. When nothing is said: if it has done so before, or was to, by
 * what is in the database, or for the CA that is there. 0, or PKI_DAMAGED with a text: it has, what
 * it showed is not there any more, and nobody has asked for another CA or for plain HTTP. */
int pki_decide(const struct pki_options *options, const char *db_path, const struct pki_past *past,
               bool *ret_is_wanted);
/* Before a cluster is founded, whatever it is to speak: PKI_DAMAGED with a text when there is
 * something of a CA already, which can only be another cluster's. */
int pki_check_unfounded(const struct pki_options *options, const char *db_path);
/* Loads or makes everything; *ret_is_new: there was no CA before. 0, PKI_DAMAGED with a text, or
 * negative. cluster_id and db_path are borrowed while the pki lives. */
int pki_open(const struct pki_options *options, const char *cluster_id, const char *db_path,
             struct pki **ret_pki, bool *ret_is_new);
void pki_free(struct pki *pki);

/* For a timer: renews what is due, reads again what was given. *ret_is_new: the server is to show
 * another certificate; so it is said again until that is noted. What failed is tried again. */
int pki_refresh(struct pki *pki, bool *ret_is_new);
/* The server shows what the files had when one of these functions was called last. */
void pki_note_shown(struct pki *pki);
/* Leaves a note for quiltctl on this host: by which name and port it is to find the server. */
int pki_keep_url(const struct pki *pki, uint16_t port);

/* The steps of replacing the CA (pki_files.h); the first makes the next CA if need be. */
int pki_publish_next(struct pki *pki);
int pki_promote_next(struct pki *pki);
int pki_drop_old(struct pki *pki);

/* A certificate for a node, as PEM. Caller frees. */
int pki_issue_node(const struct pki *pki, const struct tls_public_key *key, const char *node_id,
                   uint32_t host_ip, char **ret_pem);
/* Of the certificate that the server shows, or is about to. */
const struct tls_cert_facts *pki_shown(const struct pki *pki);
/* What others reach the server by, for the line that is printed for them. Caller frees. */
char *pki_host(const struct pki *pki);
