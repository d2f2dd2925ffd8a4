#include <fcntl.h>
#include <fmt/format.h>

#include <optional>

#include "daemon/archive/byte_source.h"
#include "daemon/archive/escaped_name.h"
#include "daemon/archive/layer_entries.h"
#include "daemon/archive/refused.h"
#include "daemon/archive/root_tree.h"
#include "daemon/archive/tar_stream.h"
#include "daemon/archive/worker_jobs.h"
#include "daemon/archive/worker_process.h"

namespace brokerd {
namespace {

Encoding encoding_of(std::string_view argument) {
    if (argument.starts_with("gzip")) return Encoding::gzip;
    if (argument.starts_with("zstd")) return Encoding::zstd;
    return Encoding::none;
}

/// "" where none was given.
std::string_view diff_id_of(std::string_view argument) {
    const std::size_t space = argument.find(' ');
    return space == std::string_view::npos ? std::string_view{} : argument.substr(space + 1);
}

void note_entry(WorkerContext& context, archive_entry* entry) {
    const char* const name = archive_entry_pathname(entry);
    context.entry = escaped_name(name == nullptr ? "?" : name);
}

void unpack_layer(WorkerContext& context, std::size_t index, LayerEntries& entries) {
    const std::string& argument = context.arguments[index];
    FdSource file{kFirstInputFd + static_cast<int>(index),
                  [&](std::uint64_t bytes) { context.report.progress(index, bytes); }};
    const std::string_view expected = diff_id_of(argument);
    TarStream tar{file, encoding_of(argument), context.limits, !expected.empty()};
    while (archive_entry* const entry = tar.next()) {
        note_entry(context, entry);
        entries.apply(entry, tar);
    }
    entries.end_layer();
    tar.finish();
    if (expected.empty()) return;
    const Digest digest = tar.digest();
    if (digest.str() != expected) {
        throw Refused{fmt::format("is not what the image's config says: its content has the digest {} instead of {}",
                                  digest.str(), expected)};
    }
}

/// Plain files and directories, all the caller's own. Without symbolic links nothing leads anywhere.
class PlainEntries {
public:
    PlainEntries(int root, const ArchiveLimits& limits)
        : limits_{limits}, tree_{root, [](int, const std::string&) {}} {}

    void apply(archive_entry* entry, TarStream& stream) {
        if (++entries > limits_.entries)
            throw EntryRefused{fmt::format("is one too many: more than {} entries are not taken", limits_.entries)};
        const ArchivePath path = parse_archive_path(archive_entry_pathname(entry), limits_);
        const auto type = archive_entry_filetype(entry);
        if (archive_entry_hardlink(entry) != nullptr || (type != AE_IFREG && type != AE_IFDIR))
            throw EntryRefused{"is neither a plain file nor a directory"};
        if (path.is_root()) {
            if (type != AE_IFDIR) throw EntryRefused{"has an empty name"};
            return;
        }
        const int directory = tree_.enter(path.parent);
        if (type == AE_IFDIR) {
            static_cast<void>(tree_.make_directory(directory, path.name));
            return;
        }
        const la_int64_t size = archive_entry_size(entry);
        if (size < 0 || static_cast<std::uint64_t>(size) > limits_.bytes - bytes)
            throw EntryRefused{fmt::format("is too much: more than {} bytes are not unpacked", limits_.bytes)};
        bytes += static_cast<std::uint64_t>(size);
        static_cast<void>(tree_.write_file(directory, path.name, static_cast<std::uint64_t>(size), stream));
    }

    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;

private:
    const ArchiveLimits& limits_;
    RootTree tree_;
};

}  // namespace

void run_unpack(WorkerContext& context) {
    LayerEntries entries{kDirectoryFd, context.limits};
    for (std::size_t index = 0; index < context.arguments.size(); ++index) {
        context.layer = index + 1;
        unpack_layer(context, index, entries);
    }
    context.report.done(entries.entries(), entries.bytes(), entries.xattrs_skipped());
}

void run_extract(WorkerContext& context) {
    FdSource file{kFirstInputFd, nullptr};
    TarStream tar{file, guess_encoding(file.peek(6)), context.limits};
    PlainEntries entries{kDirectoryFd, context.limits};
    while (archive_entry* const entry = tar.next()) {
        note_entry(context, entry);
        entries.apply(entry, tar);
    }
    tar.finish();
    context.report.done(entries.entries, entries.bytes, 0);
}

}  // namespace brokerd
