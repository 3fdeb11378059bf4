#include "httpd/merge_metrics.h"
#include "tests/unit/catch.h"

namespace mox::httpd {

TEST_CASE("metrics of several processes are grouped and labelled") {
    std::string text = merge_metrics({
        {"smtpd", "# HELP mox_b Things.\n# TYPE mox_b counter\nmox_b{code=\"2\"} 5\n# TYPE mox_a gauge\nmox_a 1\n"},
        {"smtpd-2", "# TYPE mox_b counter\nmox_b{code=\"2\"} 7\nmox_b 1.5e+3\n"},
    });
    CHECK(text ==
          "# TYPE mox_a gauge\n"
          "mox_a{process=\"smtpd\"} 1\n"
          "# HELP mox_b Things.\n"
          "# TYPE mox_b counter\n"
          "mox_b{process=\"smtpd\",code=\"2\"} 5\n"
          "mox_b{process=\"smtpd-2\",code=\"2\"} 7\n"
          "mox_b{process=\"smtpd-2\"} 1.5e+3\n");
}

TEST_CASE("histograms stay together") {
    std::string text =
        merge_metrics({{"dnsd",
                        "# TYPE mox_h histogram\nmox_h_bucket{le=\"+Inf\"} 2\nmox_h_sum 0.5\nmox_h_count 2\n"
                        "# TYPE mox_h_x gauge\nmox_h_x 1\n"}});
    CHECK(text ==
          "# TYPE mox_h histogram\n"
          "mox_h_bucket{process=\"dnsd\",le=\"+Inf\"} 2\n"
          "mox_h_sum{process=\"dnsd\"} 0.5\n"
          "mox_h_count{process=\"dnsd\"} 2\n"
          "# TYPE mox_h_x gauge\n"
          "mox_h_x{process=\"dnsd\"} 1\n");
}

TEST_CASE("what is not well formed is left out") {
    for (const char* line : {"",
                             "mox_x",
                             "mox_x ",
                             "mox_x one",
                             "mox_x 1 2 3",
                             "1x 1",
                             "mox_x{ 1",
                             "mox_x{a} 1",
                             "mox_x{a=b} 1",
                             "mox_x{a=\"b} 1",
                             "mox_x{a=\"\\q\"} 1",
                             "mox_x{a=\"b\"b=\"c\"} 1",
                             "mox_x{a=\"b\"}1",
                             "mox_x 0x10",
                             "mox_x inf",
                             "mox_x nan",
                             "mox_x\t1",
                             "mox_x \x01",
                             "# TYPE",
                             "# nonsense",
                             "# TYPE mox_x"}) {
        INFO(line);
        CHECK(merge_metrics({{"p", line}}).empty());
    }
    CHECK(merge_metrics({{"p", "mox_x " + std::string(5000, '1') + "\n"}}).empty());
}

TEST_CASE("what is well formed is kept") {
    for (const char* line : {"mox_x 1", "mox_x -1.5", "mox_x NaN", "mox_x +Inf", "mox_x{} 1", "mox_x{a=\"b\"} 1",
                             "mox_x{a=\"\\\"}\\\\\\n\"} 1", "mox_x{a=\"b\",} 1", "mox_x{a=\"b\",c=\"\"} 1", "a:b 1"}) {
        INFO(line);
        CHECK_FALSE(merge_metrics({{"p", line}}).empty());
    }
}

TEST_CASE("a sample is said once") {
    CHECK(merge_metrics({{"p", "mox_x 1\nmox_x 2\n"}}) == "mox_x{process=\"p\"} 1\n");
    CHECK(merge_metrics({{"p", "mox_x 1\n"}, {"p", "mox_x 2\n"}}) == "mox_x{process=\"p\"} 1\n");
}

TEST_CASE("a process name cannot break out of its label") {
    CHECK(merge_metrics({{"a\"b\\\n", "mox_x 1\n"}}) == "mox_x{process=\"a\\\"b\\\\?\"} 1\n");
}

}  // namespace mox::httpd
