/* quilt-mesh-agent: puts this host into the mesh. Reads the command line; agent.c does the rest. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/base/parse.h"
#include "lib/rpc/client.h"

#define HOSTNAME_MAX 254

enum dataplane { DATAPLANE_AUTO, DATAPLANE_EBPF, DATAPLANE_KERNEL, DATAPLANE_NONE };

static const char *const dataplane_words[] = {
    [DATAPLANE_AUTO] = "auto",
    [DATAPLANE_EBPF] = "ebpf",
    [DATAPLANE_KERNEL] = "kernel",
    [DATAPLANE_NONE] = "none",
};

static const enum fastpath_mode fastpath_modes[] = {
    [DATAPLANE_AUTO] = FASTPATH_TRY,
    [DATAPLANE_EBPF] = FASTPATH_INSIST,
    [DATAPLANE_KERNEL] = FASTPATH_OFF,
    [DATAPLANE_NONE] = FASTPATH_OFF,
};

struct settings {
    struct option_list control_urls;                                     /* as they were given */
    bool is_token_seen;                                                  /* on the command line */
    const char *control_bases[ARRAY_LEN((struct option_list){0}.items)]; /* without a final slash */
    struct option_listen status;
    enum dataplane dataplane;
    struct agent_config agent;
};

static int option_dataplane(const char *text, void *out)
{
    size_t i;
    int r = option_choose(text, dataplane_words, ARRAY_LEN(dataplane_words), &i);

    if (r == 0)
        *(enum dataplane *)out = (enum dataplane)i;
    return r;
}

static int option_on_stop(const char *text, void *out)
{
    static const char *const words[] = {"keep", "leave"};
    size_t i;
    int r = option_choose(text, words, ARRAY_LEN(words), &i);

    if (r == 0)
        *(bool *)out = i == 1;
    return r;
}

static int option_host_ip(const char *text, void *out)
{
    uint32_t addr;
    int r = ip4_parse(text, &addr);

    if (r < 0)
        return r;
    if (!ip4_is_unicast_host(addr))
        return err_fail(EINVAL, "'%.64s' is not an address that a host can have", text);
    *(uint32_t *)out = addr;
    return 0;
}

static int option_runtime(const char *text, void *out)
{
    int r = rpc_target_check(text);

    return r < 0 ? r : option_string(text, out);
}

/* Of a token, only that it is one is said; and whose eyes can see it is told apart by where it
 * stands. */
static int option_token(const char *text, void *out)
{
    struct settings *s = out;
    AUTO_ACCESS_TOKEN struct access_token token = {.pin_count = 0};

    s->agent.token.text = text;
    s->is_token_seen = text != getenv("QUILT_TOKEN");
    return access_token_parse(text, &token);
}

/* Whether it leads to another host. */
static bool is_beyond(const char *url)
{
    static const char *const here[] = {"http://127.", "http://localhost:", "http://localhost/"};

    for (size_t i = 0; i < ARRAY_LEN(here); i++)
        if (strncmp(url, here[i], strlen(here[i])) == 0)
            return false;
    return strcmp(url, "http://localhost") != 0;
}

static void check_schemes(const struct options *options, struct settings *s)
{
    s->agent.is_tls = http_url_is_tls(s->control_bases[0]);
    for (size_t i = 1; i < s->control_urls.count; i++)
        if (http_url_is_tls(s->control_bases[i]) != s->agent.is_tls)
            options_usage_error(options,
                                "--control-plane: %s and %s: all replicas of a control plane speak "
                                "HTTPS, or none",
                                s->control_bases[0], s->control_bases[i]);
}

static void check_plain(const struct options *options, const struct settings *s)
{
    const struct agent_config *a = &s->agent;

    if (a->token.text || a->token.file)
        options_usage_error(options,
                            "--token and --token-file go with a control plane of https://, not %s: "
                            "on the way there everybody could read the token. Give the URL that "
                            "the control plane printed, or leave the token away",
                            s->control_bases[0]);
    if (rpc_target_is_tls(a->runtime_target))
        options_usage_error(options,
                            "--quilt-runtime %s goes with a control plane of https://, not %s: "
                            "from there comes the certificate that the runtime wants to see",
                            a->runtime_target, s->control_bases[0]);
    if (a->ca_file || a->cert_file || a->key_file)
        options_usage_error(options,
                            "--tls-ca, --tls-cert and --tls-key go with a control plane of "
                            "https://, not %s",
                            s->control_bases[0]);
}

static void check_tls(const struct options *options, struct settings *s)
{
    const struct agent_config *a = &s->agent;

    check_schemes(options, s);
    if (!a->is_tls)
        check_plain(options, s);
    if (a->token.text && a->token.file)
        options_usage_error(options, "give one of --token and --token-file");
    if (!a->cert_file != !a->key_file)
        options_usage_error(options, "--tls-cert and --tls-key go together");
}

static void say_warnings(const struct settings *s)
{
    if (s->agent.token.text && s->is_token_seen)
        log_warn("an access token on the command line can be read by every user of this host; "
                 "better: --token-file, or QUILT_TOKEN");
    if (!s->agent.is_tls && is_beyond(s->control_bases[0]))
        log_warn("plain HTTP beyond this host: whoever is on the way can read and change what the "
                 "control plane says",
                 LOG_S("control_plane", s->control_bases[0]));
}

static void clean_urls(const struct options *options, struct settings *s)
{
    for (size_t i = 0; i < s->control_urls.count; i++) {
        char *base;

        if (http_base_url_parse(s->control_urls.items[i], &base) < 0)
            options_usage_error(options, "--control-plane: %s", err_text());
        s->control_bases[i] = base;
    }
}

static const char *own_hostname(void)
{
    static char name[HOSTNAME_MAX];

    if (gethostname(name, sizeof name - 1) < 0 || parse_hostname(name) < 0)
        return NULL;
    return name;
}

static int64_t ram_mb(void)
{
    int64_t pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);

    return pages > 0 && page_bytes > 0 ? pages / 1024 * page_bytes / 1024 : -1;
}

/* As long-lived as argv, like the texts it points to. */
static struct settings settings;

static const struct option_spec specs[] = {
    {.name = "control-plane",
     .arg = "URL",
     .is_required = true,
     .parse = option_list,
     .out = &settings.control_urls,
     .help = "The control plane, https://ADDR:PORT; may be repeated for replicas"},
    {.name = "host-ip",
     .arg = "IP",
     .is_required = true,
     .parse = option_host_ip,
     .out = &settings.agent.host_ip,
     .help = "This host's address on the underlay, to which peers send VXLAN packets"},
    {.name = "hostname",
     .arg = "NAME",
     .parse = option_hostname,
     .out = &settings.agent.hostname,
     .help = "What this node is called (default: the system's hostname)"},
    {.name = "quilt-runtime",
     .arg = "URL",
     .default_text = "http://127.0.0.1:50051",
     .parse = option_runtime,
     .out = &settings.agent.runtime_target,
     .help = "The runtime, http://ADDR:PORT, https://ADDR:PORT or unix:PATH"},
    {.name = "state-dir",
     .arg = "DIR",
     .default_text = "/var/lib/quilt-mesh",
     .parse = option_string,
     .out = &settings.agent.state_dir,
     .help = "Where the node's identity and last known peers are kept"},
    {.name = "status-addr",
     .arg = "ADDR:PORT",
     .default_text = "127.0.0.1:9180",
     .parse = option_listen,
     .out = &settings.status,
     .help = "Where /status, /metrics, /livez and /readyz are served"},
    {.name = "dataplane",
     .arg = "auto|ebpf|kernel|none",
     .default_text = "auto",
     .parse = option_dataplane,
     .out = &settings.dataplane,
     .help = "How packets are carried; none touches nothing and says what it would do"},
    {.name = "token",
     .arg = "TEXT",
     .parse = option_token,
     .out = &settings,
     .help = "The access token to join with; better in a file"},
    {.name = "token-file",
     .arg = "FILE",
     .parse = option_string,
     .out = &settings.agent.token.file,
     .help = "A file with the access token to join with; not needed any more when joined"},
    {.name = "tls-ca",
     .arg = "FILE",
     .parse = option_string,
     .out = &settings.agent.ca_file,
     .help = "The CAs to know the control plane by (PEM), instead of the token's"},
    {.name = "tls-cert",
     .arg = "FILE",
     .parse = option_string,
     .out = &settings.agent.cert_file,
     .help = "A certificate to show (PEM), instead of one from the control plane"},
    {.name = "tls-key",
     .arg = "FILE",
     .parse = option_string,
     .out = &settings.agent.key_file,
     .help = "The key of --tls-cert (PEM)"},
    {.name = "on-stop",
     .arg = "keep|leave",
     .default_text = "keep",
     .parse = option_on_stop,
     .out = &settings.agent.leaves_on_stop,
     .help = "What SIGTERM means: keep all as it is, or leave the mesh"},
};

static void parse(struct settings *s, int argc, char **argv)
{
    struct options options = {
        .program = "quilt-mesh-agent",
        .summary =
            "Puts this host into the mesh: registers it, and programs the ways to its peers.",
        .specs = specs,
        .spec_count = ARRAY_LEN(specs),
    };

    options_parse(&options, argc, argv);
    clean_urls(&options, s);
    check_tls(&options, s);
    if (!s->agent.hostname)
        s->agent.hostname = own_hostname();
    if (!s->agent.hostname)
        options_usage_error(&options, "the system's hostname cannot be used; give --hostname");
}

int main(int argc, char **argv)
{
    struct settings *s = &settings;

    parse(s, argc, argv);
    say_warnings(s);
    s->agent.control_urls = s->control_bases;
    s->agent.control_url_count = s->control_urls.count;
    s->agent.status_addr = s->status.addr;
    s->agent.status_port = s->status.port;
    s->agent.dataplane = dataplane_words[s->dataplane];
    s->agent.is_dry = s->dataplane == DATAPLANE_NONE;
    s->agent.fastpath = fastpath_modes[s->dataplane];
    s->agent.cpu_cores = sysconf(_SC_NPROCESSORS_ONLN);
    s->agent.ram_mb = ram_mb();
    return agent_run(&s->agent);
}
