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

struct listen {
    uint32_t addr;
    uint16_t port;
};

enum dataplane { DATAPLANE_AUTO, DATAPLANE_KERNEL, DATAPLANE_EBPF, DATAPLANE_NONE };

static const char *const dataplane_words[] = {
    [DATAPLANE_AUTO] = "auto",
    [DATAPLANE_KERNEL] = "kernel",
    [DATAPLANE_EBPF] = "ebpf",
    [DATAPLANE_NONE] = "none",
};

struct settings {
    struct option_list control_urls;                                     /* as they were given */
    const char *control_bases[ARRAY_LEN((struct option_list){0}.items)]; /* without a final slash */
    struct listen status;
    enum dataplane dataplane;
    struct agent_config agent;
};

static int option_dataplane(const char *text, void *out)
{
    for (size_t i = 0; i < ARRAY_LEN(dataplane_words); i++) {
        if (strcmp(text, dataplane_words[i]) != 0)
            continue;
        *(enum dataplane *)out = (enum dataplane)i;
        return 0;
    }
    return err_fail(EINVAL, "'%.64s' is not one of auto, ebpf, kernel, none", text);
}

static int option_on_stop(const char *text, void *out)
{
    bool is_leave = strcmp(text, "leave") == 0;

    if (!is_leave && strcmp(text, "keep") != 0)
        return err_fail(EINVAL, "'%.64s' is not one of keep, leave", text);
    *(bool *)out = is_leave;
    return 0;
}

static int option_listen(const char *text, void *out)
{
    struct listen *listen = out;

    return parse_addr_port(text, &listen->addr, &listen->port);
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

static void parse(struct settings *s, int argc, char **argv)
{
    const struct option_spec specs[] = {
        {.name = "control-plane",
         .arg = "URL",
         .is_required = true,
         .parse = option_list,
         .out = &s->control_urls,
         .help = "The control plane, http://ADDR:PORT; may be repeated for replicas"},
        {.name = "host-ip",
         .arg = "IP",
         .is_required = true,
         .parse = option_host_ip,
         .out = &s->agent.host_ip,
         .help = "This host's address on the underlay, to which peers send VXLAN packets"},
        {.name = "hostname",
         .arg = "NAME",
         .parse = option_hostname,
         .out = &s->agent.hostname,
         .help = "What this node is called (default: the system's hostname)"},
        {.name = "quilt-runtime",
         .arg = "URL",
         .default_text = "http://127.0.0.1:50051",
         .parse = option_runtime,
         .out = &s->agent.runtime_target,
         .help = "The runtime, http://ADDR:PORT or unix:PATH"},
        {.name = "state-dir",
         .arg = "DIR",
         .default_text = "/var/lib/quilt-mesh",
         .parse = option_string,
         .out = &s->agent.state_dir,
         .help = "Where the node's identity and last known peers are kept"},
        {.name = "status-addr",
         .arg = "ADDR:PORT",
         .default_text = "127.0.0.1:9180",
         .parse = option_listen,
         .out = &s->status,
         .help = "Where /status, /metrics, /livez and /readyz are served"},
        {.name = "dataplane",
         .arg = "auto|ebpf|kernel|none",
         .default_text = "auto",
         .parse = option_dataplane,
         .out = &s->dataplane,
         .help = "How packets are carried; none touches nothing and says what it would do"},
        {.name = "on-stop",
         .arg = "keep|leave",
         .default_text = "keep",
         .parse = option_on_stop,
         .out = &s->agent.leaves_on_stop,
         .help = "What SIGTERM means: keep all as it is, or leave the mesh"},
    };
    struct options options = {
        .program = "quilt-mesh-agent",
        .summary =
            "Puts this host into the mesh: registers it, and programs the ways to its peers.",
        .specs = specs,
        .spec_count = ARRAY_LEN(specs),
    };

    options_parse(&options, argc, argv);
    clean_urls(&options, s);
    if (!s->agent.hostname)
        s->agent.hostname = own_hostname();
    if (!s->agent.hostname)
        options_usage_error(&options, "the system's hostname cannot be used; give --hostname");
}

int main(int argc, char **argv)
{
    static struct settings s; /* as long-lived as argv, like the texts it points to */

    parse(&s, argc, argv);
    if (s.dataplane == DATAPLANE_EBPF) {
        log_error("this build has no eBPF data path; use --dataplane kernel or auto");
        return 1;
    }
    s.agent.control_urls = s.control_bases;
    s.agent.control_url_count = s.control_urls.count;
    s.agent.status_addr = s.status.addr;
    s.agent.status_port = s.status.port;
    s.agent.is_dry = s.dataplane == DATAPLANE_NONE;
    s.agent.cpu_cores = sysconf(_SC_NPROCESSORS_ONLN);
    s.agent.ram_mb = ram_mb();
    return agent_run(&s.agent);
}
