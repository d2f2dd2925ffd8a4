#include "daemon/proxy/connection_ledger.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace brokerd {
namespace {

/// Ours: twice what brokerd.service asks for. Of a page of memory nothing is taken until a mark is made in it.
constexpr std::size_t kMaxPlaces = std::size_t{1} << 20;

static_assert(sizeof(std::atomic<std::uint8_t>) == 1 && std::atomic<std::uint8_t>::is_always_lock_free);

std::size_t descriptor_limit() {
    struct rlimit limit {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    return std::min<std::size_t>(limit.rlim_cur, kMaxPlaces);
}

}  // namespace

std::unique_ptr<ConnectionLedger> ConnectionLedger::make() {
    const std::size_t count = descriptor_limit();
    UniqueFd memory{::memfd_create("brokerd-connections", MFD_CLOEXEC)};
    if (!memory || count == 0 || ::ftruncate(memory.get(), static_cast<off_t>(count)) != 0) return nullptr;
    void* const mapped = ::mmap(nullptr, count, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
    if (mapped == MAP_FAILED) return nullptr;
    auto* const places = static_cast<std::atomic<std::uint8_t>*>(mapped);
    return std::unique_ptr<ConnectionLedger>{new ConnectionLedger{std::move(memory), places, count}};
}

std::vector<int> ConnectionLedger::marked(const UniqueFd& memory, State state) {
    struct stat status {};
    std::vector<int> found;
    if (::fstat(memory.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0) return found;
    const std::size_t size = std::min(static_cast<std::size_t>(status.st_size), kMaxPlaces);
    void* const mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, memory.get(), 0);
    if (mapped == MAP_FAILED) return found;
    const std::string_view marks{static_cast<const char*>(mapped), size};
    const char wanted = static_cast<char>(state);
    for (std::size_t at = marks.find(wanted); at != std::string_view::npos; at = marks.find(wanted, at + 1))
        found.push_back(static_cast<int>(at));
    ::munmap(mapped, size);
    return found;
}

ConnectionLedger::~ConnectionLedger() {
    ::munmap(places_, count_);
}

ConnectionLedger::Mark::Mark(ConnectionLedger* ledger, int descriptor) noexcept {
    if (ledger == nullptr || descriptor < 0 || static_cast<std::size_t>(descriptor) >= ledger->count_) return;
    place_ = ledger->places_ + descriptor;
    set(State::resting);  // nothing has been read of it
}

}  // namespace brokerd
