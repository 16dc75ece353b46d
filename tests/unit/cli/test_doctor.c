/* What the doctor reads from the system, and how its findings are printed. */
#include "cli/doctor/checks.h"

#include "cli/doctor/proc.h"
#include "tests/unit/cmocka.h"

static void a_note_is_no_reason_to_be_ill(void **state)
{
    CLEANUP(findings_deinit) struct findings findings = {0};
    AUTO_STRBUF struct strbuf out = {0};

    findings_add(&findings, (struct finding){.cause = "x",
                                             .severity = SEVERITY_NOTE,
                                             .what = mem_strdup("w"),
                                             .shows = mem_strdup("s\x1b"),
                                             .mend = mem_strdup("m")});
    assert_true(findings_are_healthy(&findings));
    findings_print(&findings, &out);
    assert_string_equal(out.data, "note: x: w\n  shows  s\\u001b\n  mend   m\n");
    findings_add(&findings, (struct finding){.cause = "y", .severity = SEVERITY_WARNING});
    assert_false(findings_are_healthy(&findings));
    assert_false(findings_have_error(&findings));
}

static void counters_are_found_by_their_names(void **state)
{
    static const char text[] = "Tcp: RtoAlgorithm InCsumErrors\nTcp: 1 3\n"
                               "Udp: InDatagrams InCsumErrors\nUdp: 7 44\nUdpLite: A\nUdpLite: 9\n";

    assert_int_equal(proc_counter(text, "Udp", "InCsumErrors"), 44);
    assert_int_equal(proc_counter(text, "Tcp", "InCsumErrors"), 3);
    assert_int_equal(proc_counter(text, "Udp", "InCsum"), 0);
    assert_int_equal(proc_counter("Udp: A B\nUdp: 1\n", "Udp", "B"), 0);
    assert_int_equal(proc_counter("Udp: A\n", "Udp", "A"), 0);
    assert_int_equal(proc_counter(NULL, "Udp", "A"), 0);
}

static void lines_of_files_are_read_as_their_owners_read_them(void **state)
{
    static const char key[] = "net.ipv4.ip_forward";

    assert_true(proc_has_line("A=1\nmanaged=true\n", "managed=true"));
    assert_false(proc_has_line("A=1\nmanaged=trueish\n", "managed=true"));
    assert_int_equal(proc_sysctl_line("net.ipv4.ip_forward = 0\n", key), 0);
    assert_int_equal(proc_sysctl_line("-net/ipv4/ip_forward=0\nnet.ipv4.ip_forward=1", key), 1);
    assert_int_equal(proc_sysctl_line("# net.ipv4.ip_forward=0\n", key), FACTS_UNKNOWN);
    assert_int_equal(proc_sysctl_line("net.ipv4.ip_forward_x=0\n", key), FACTS_UNKNOWN);
}

static void a_processs_limits_are_read(void **state)
{
    static const char text[] =
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max core file size        0                    unlimited            bytes     \n"
        "Max open files            1024                 524288               files     \n"
        "Max locked memory         unlimited            unlimited            bytes     \n";

    assert_int_equal(proc_limit(text, "Max open files"), 1024);
    assert_int_equal(proc_limit(text, "Max locked memory"), FACTS_UNKNOWN);
    assert_int_equal(proc_limit(text, "Max nothing"), FACTS_UNKNOWN);
    assert_int_equal(proc_limit("Max open files", "Max open files"), FACTS_UNKNOWN);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_note_is_no_reason_to_be_ill),
        cmocka_unit_test(counters_are_found_by_their_names),
        cmocka_unit_test(lines_of_files_are_read_as_their_owners_read_them),
        cmocka_unit_test(a_processs_limits_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
