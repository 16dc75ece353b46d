/* A traffic generator for the data path: one kind of traffic, for a fixed time, counted.
 *
 *     traffic serve KIND ADDRESS:PORT        the passive end, until it is killed; KIND: stream,
 *                                            echo, connect, datagram
 *     traffic stream ADDRESS:PORT TIME N CPUS
 *                                            N TCP connections send as much as they can; the i-th
 *                                            to PORT + i % CPUS, from a thread on CPU i % CPUS
 *     traffic echo ADDRESS:PORT TIME         on one TCP connection a byte goes there and back,
 *                                            over and over
 *     traffic connect ADDRESS:PORT TIME      connect, a byte there and a byte back, close; over
 *                                            and over
 *     traffic datagram ADDRESS:PORT TIME     UDP with 64 bytes of payload, one a send()
 *     traffic first ADDRESS                  two ICMP echos, from a namespace that has not
 *                                            spoken to the address before
 *
 * TIME is a duration ("1s", "500ms"). Whoever starts it pins servers and other clients to CPUs.
 * Prints one JSON line; ends with an error when TIME and ten seconds have gone by.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/traffic.h"
#include "lib/base/error.h"
#include "lib/base/ip4.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"

#define NS_PER_MS 1000000LL
#define GRACE_S 10

static int parse_target(const char *text, struct sockaddr_in *ret)
{
    uint32_t addr;
    uint16_t port;
    int r = parse_addr_port(text, &addr, &port);

    if (r == 0)
        *ret = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(addr)};
    return r;
}

static int usage(void)
{
    return err_fail(EINVAL,
                    "usage: traffic serve KIND ADDRESS:PORT | stream ADDRESS:PORT TIME N CPUS | "
                    "echo|connect|datagram ADDRESS:PORT TIME | first ADDRESS");
}

static int serve(const char *kind, const char *address)
{
    static const struct {
        const char *kind;
        int (*serve)(const struct sockaddr_in *self);
    } servers[] = {{"stream", traffic_serve_stream},
                   {"echo", traffic_serve_echo},
                   {"connect", traffic_serve_connect},
                   {"datagram", traffic_serve_datagram}};
    struct sockaddr_in self;
    int r = parse_target(address, &self);

    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_LEN(servers); i++)
        if (strcmp(kind, servers[i].kind) == 0)
            return servers[i].serve(&self);
    return usage();
}

static int run_client(char **argv, int argc)
{
    static const struct {
        const char *kind;
        int (*run)(const struct traffic_words *words);
        int argc;
    } clients[] = {{"stream", traffic_run_stream, 6},
                   {"echo", traffic_run_echo, 4},
                   {"connect", traffic_run_connect, 4},
                   {"datagram", traffic_run_datagram, 4}};
    struct traffic_words words = {0};
    int64_t duration_ms;
    int r = parse_target(argv[2], &words.target);

    if (r == 0)
        r = parse_duration_ms(argv[3], &duration_ms);
    if (r == 0 && argc > 5)
        r = parse_u64(argv[4], TRAFFIC_STREAMS_MAX, &words.streams);
    if (r == 0 && argc > 5)
        r = parse_u64(argv[5], TRAFFIC_STREAMS_MAX, &words.cpus);
    if (r == 0 && argc > 5 && words.cpus == 0)
        r = usage();
    if (r < 0)
        return r;
    words.duration_ns = duration_ms * NS_PER_MS;
    (void)alarm((unsigned)(duration_ms / 1000 + GRACE_S));
    for (size_t i = 0; i < ARRAY_LEN(clients); i++)
        if (strcmp(argv[1], clients[i].kind) == 0 && argc == clients[i].argc)
            return clients[i].run(&words);
    return usage();
}

static int run(int argc, char **argv)
{
    uint32_t addr;
    int r;

    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2], argv[3]);
    if (argc == 4 || argc == 6)
        return run_client(argv, argc);
    if (argc != 3 || strcmp(argv[1], "first") != 0)
        return usage();
    r = ip4_parse(argv[2], &addr);
    return r < 0 ? r : traffic_run_first(addr);
}

int main(int argc, char **argv)
{
    if (run(argc, argv) == 0)
        return 0;
    (void)fprintf(stderr, "traffic: %s\n", err_text());
    return 1;
}
