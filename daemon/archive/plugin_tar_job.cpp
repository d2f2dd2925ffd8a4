#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "daemon/archive/archive_path.h"
#include "daemon/archive/escaped_name.h"
#include "daemon/archive/layer_output.h"
#include "daemon/archive/plugin_tar.h"
#include "daemon/archive/refused.h"
#include "daemon/archive/tar_stream.h"
#include "daemon/archive/worker_jobs.h"
#include "daemon/archive/worker_process.h"

namespace brokerd {
namespace {

constexpr std::string_view kConfig = "config.json";
constexpr std::string_view kRootfs = "rootfs";
constexpr std::size_t kZerosAtOnce = std::size_t{64} << 10;

bool is_in_rootfs(std::string_view path) {
    return path.starts_with(kRootfs) && path.size() > kRootfs.size() && path[kRootfs.size()] == '/';
}

/// The path without "rootfs/".
std::string beneath_rootfs(const std::string& path) {
    return path.substr(kRootfs.size() + 1);
}

std::string read_config(archive_entry* entry, TarStream& tar) {
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr)
        throw EntryRefused{"must be a plain file"};
    if (archive_entry_size(entry) < 0 || static_cast<std::uint64_t>(archive_entry_size(entry)) > kMaxPluginConfigBytes)
        throw EntryRefused{fmt::format("is longer than {} bytes", kMaxPluginConfigBytes)};
    std::string config(static_cast<std::size_t>(archive_entry_size(entry)), '\0');
    for (auto block = tar.next_block(); !block.bytes.empty(); block = tar.next_block()) {
        if (block.offset > config.size() || block.bytes.size() > config.size() - block.offset)
            throw EntryRefused{"has content beyond its size"};
        block.bytes.copy(config.data() + block.offset, block.bytes.size());
    }
    return config;
}

/// Copies the entry's content, with zeros for the holes of sparse files.
void copy_content(std::uint64_t size, TarStream& tar, LayerOutput& layer) {
    std::string zeros;
    std::uint64_t at = 0;
    const auto fill_up_to = [&](std::uint64_t end) {
        if (at < end) zeros.resize(kZerosAtOnce);
        while (at < end) {
            const std::size_t piece = std::min<std::uint64_t>(end - at, zeros.size());
            layer.write(std::string_view{zeros}.substr(0, piece));
            at += piece;
        }
    };
    for (auto block = tar.next_block(); !block.bytes.empty(); block = tar.next_block()) {
        if (block.offset < at || block.offset > size || block.bytes.size() > size - block.offset)
            throw EntryRefused{"has content beyond its size"};
        fill_up_to(block.offset);
        layer.write(block.bytes);
        at += block.bytes.size();
    }
    fill_up_to(size);
}

void copy_entry(archive_entry* entry, const std::string& path, TarStream& tar, LayerOutput& layer,
                const ArchiveLimits& limits) {
    const bool is_file = archive_entry_filetype(entry) == AE_IFREG && archive_entry_hardlink(entry) == nullptr;
    if (const char* const target = archive_entry_hardlink(entry)) {
        const std::string to = parse_archive_path(target, limits).str();
        if (!is_in_rootfs(to))
            throw EntryRefused{fmt::format("is a hard link to {}, outside of rootfs/", escaped_name(target))};
        archive_entry_copy_hardlink(entry, beneath_rootfs(to).c_str());
    }
    if (archive_entry_size(entry) < 0) throw EntryRefused{"has a negative size"};
    if (!is_file) archive_entry_set_size(entry, 0);
    const auto size = static_cast<std::uint64_t>(archive_entry_size(entry));
    archive_entry_copy_pathname(entry, beneath_rootfs(path).c_str());
    layer.add(entry);
    if (is_file) copy_content(size, tar, layer);
}

}  // namespace

void run_read_plugin_tar(WorkerContext& context) {
    FdSource file{kFirstInputFd, [&](std::uint64_t bytes) { context.report.progress(0, bytes); }};
    TarStream tar{file, guess_encoding(file.peek(6)), context.limits};
    LayerOutput layer{kOutputFd, context.limits};
    bool has_config = false;
    bool has_rootfs = false;
    std::uint64_t seen = 0;
    while (archive_entry* const entry = tar.next()) {
        const char* const name = archive_entry_pathname(entry);
        context.entry = escaped_name(name == nullptr ? "?" : name);
        if (++seen > context.limits.entries)
            throw EntryRefused{
                fmt::format("is one too many: more than {} entries are not taken", context.limits.entries)};
        const std::string path = parse_archive_path(name, context.limits).str();
        if (path == kConfig) {
            if (has_config) throw EntryRefused{"is there twice; which one counts would be anyone's guess"};
            has_config = true;
            context.report.config(read_config(entry, tar));
        } else if (path == kRootfs) {
            if (archive_entry_filetype(entry) != AE_IFDIR || archive_entry_hardlink(entry) != nullptr)
                throw EntryRefused{"must be a directory"};
            has_rootfs = true;
        } else if (is_in_rootfs(path)) {
            has_rootfs = true;
            copy_entry(entry, path, tar, layer, context.limits);
        }
    }
    tar.finish();
    if (!has_config) throw Refused{"is no plugin: it has no config.json at its top"};
    if (!has_rootfs) throw Refused{"is no plugin: it has no rootfs/ at its top"};
    context.report.digest(layer.finish());
    context.report.done(layer.entries(), layer.tar_bytes(), 0);
}

}  // namespace brokerd
