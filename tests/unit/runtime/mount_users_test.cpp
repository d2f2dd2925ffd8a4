#include "daemon/runtime/mount_users.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>

#include "tests/unit/temporary_directory.h"

using namespace brokerd;
namespace fs = std::filesystem;

namespace {

void mount_or_throw(const std::string& source, const std::string& target, const char* type, unsigned long flags) {
    if (::mount(source.c_str(), target.c_str(), type, flags, nullptr) != 0) throw std::runtime_error{"mount " + target};
}

void private_namespace() {
    if (::unshare(CLONE_NEWNS) != 0) throw std::runtime_error{"unshare: these tests need root"};
    mount_or_throw("none", "/", nullptr, MS_REC | MS_PRIVATE);
}

/// A process in a mount namespace of its own, in which it has made some mounts.
class Stranger {
public:
    explicit Stranger(const std::function<void()>& make_mounts) {
        int ready[2];
        REQUIRE(::pipe(ready) == 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::prctl(PR_SET_NAME, "stranger");
            char answer = 'x';
            try {
                private_namespace();
                make_mounts();
            } catch (const std::exception&) {
                answer = '!';
            }
            if (::write(ready[1], &answer, 1) != 1) ::_exit(1);
            for (;;) ::pause();
        }
        char answer = '!';
        const ssize_t count = ::read(ready[0], &answer, 1);
        ::close(ready[0]);
        ::close(ready[1]);
        REQUIRE(count == 1);
        REQUIRE(answer == 'x');
    }
    Stranger(const Stranger&) = delete;
    Stranger& operator=(const Stranger&) = delete;
    ~Stranger() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

private:
    pid_t pid_;
};

/// A plugin's directory, with a volume mounted as the plugin does it and another that is a plain directory.
struct Place {
    Place() {
        private_namespace();
        for (const char* part : {"/propagated-mount/mounted", "/propagated-mount/plain", "/rootfs/data", "/elsewhere"})
            fs::create_directories(directory.path() + part);
        mount_or_throw("volume", propagated() + "/mounted", "tmpfs", 0);
        fs::create_directories(propagated() + "/mounted/below");
    }
    ~Place() { ::umount2((propagated() + "/mounted").c_str(), MNT_DETACH); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    [[nodiscard]] std::string at(const std::string& part) const { return directory.path() + "/" + part; }
    [[nodiscard]] std::string propagated() const { return at("propagated-mount"); }
    [[nodiscard]] std::vector<MountUser> users(const std::vector<pid_t>& own = {}) const {
        return users_of_mounts({propagated(), at("rootfs")}, own);
    }
    [[nodiscard]] Stranger binds(const std::string& part) const {
        return Stranger{[this, part] {
            mount_or_throw(at(part), at("elsewhere"), nullptr, MS_BIND);
            // A container sees neither the plugin's directory nor what is in it.
            ::umount2((propagated() + "/mounted").c_str(), MNT_DETACH);
        }};
    }

    test::TemporaryDirectory directory;
};

}  // namespace

TEST_CASE("a container's bind of a mounted volume is a use of it", "[runtime]") {
    const Place place;
    CHECK(place.users().empty());
    const Stranger container = place.binds("propagated-mount/mounted");
    const auto users = place.users();
    REQUIRE(users.size() == 1);
    CHECK(users[0].pid == container.pid());
    CHECK(users[0].command == "stranger");
    CHECK(users[0].mount_point == place.at("elsewhere"));
    CHECK(to_text(users[0]) == "a container of stranger (pid " + std::to_string(container.pid()) + ")");
}

TEST_CASE("so is a bind of a part of it, of a plain directory, and of the rootfs", "[runtime]") {
    const Place place;
    for (const char* part : {"propagated-mount/mounted/below", "propagated-mount/plain", "rootfs/data", "rootfs"}) {
        CAPTURE(part);
        const Stranger container = place.binds(part);
        CHECK(place.users().size() == 1);
    }
    CHECK(place.users().empty());
}

TEST_CASE("a copy of the host's mounts is no use, nor is the plugin's own namespace", "[runtime]") {
    const Place place;
    const Stranger service{[] {}};
    CHECK(place.users().empty());
    const Stranger whole_host{[&] { mount_or_throw("/", place.at("elsewhere"), nullptr, MS_BIND | MS_REC); }};
    CHECK(place.users().empty());
    const Stranger plugin = place.binds("propagated-mount/mounted");
    CHECK(place.users({plugin.pid()}).empty());
    CHECK(place.users().size() == 1);
}

TEST_CASE("what else is on the host's file system belongs to nobody", "[runtime]") {
    const Place place;
    const Stranger other = place.binds("elsewhere");
    CHECK(place.users().empty());
    CHECK(users_of_mounts({"/no/such/directory"}, {}).empty());
}
