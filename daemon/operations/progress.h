#pragma once

#include <cstdint>
#include <string_view>

namespace brokerd {

/// What an operation tells whoever waits for it, while it goes on. Thread: any; layers report at the same time.
class Progress {
public:
    virtual ~Progress() = default;

    /// A line that belongs to no layer. `id` may be empty.
    virtual void tell(std::string_view id, std::string_view status) = 0;
    /// How far `action` on layer `id` has come; told often, so the receiver drops what it need not show. `total` in
    /// bytes, 0 where it is not known.
    virtual void advance(std::string_view id, std::string_view action, std::uint64_t done, std::uint64_t total) = 0;
};

/// For those who only want the result.
class NoProgress final : public Progress {
public:
    void tell(std::string_view, std::string_view) override {}
    void advance(std::string_view, std::string_view, std::uint64_t, std::uint64_t) override {}
};

}  // namespace brokerd
