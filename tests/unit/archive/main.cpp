// The tests unpack archives as the daemon does: this program is its own archive worker.
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include "daemon/archive/worker.h"

int main(int argc, char** argv) {
    if (brokerd::is_archive_worker(argc, argv)) return brokerd::archive_worker_main(argc, argv);
    return Catch::Session().run(argc, argv);
}
