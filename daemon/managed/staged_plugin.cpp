#include "daemon/managed/staged_plugin.h"

#include <exception>

namespace brokerd {

StagedPlugin::StagedPlugin(std::shared_ptr<const UniqueFd> tmp, std::string path, std::string id, UniqueFd rootfs,
                           TreeRemover remover)
    : tmp_{std::move(tmp)},
      path_{std::move(path)},
      id_{std::move(id)},
      rootfs_{std::move(rootfs)},
      remover_{std::move(remover)} {}

StagedPlugin& StagedPlugin::operator=(StagedPlugin&& other) noexcept {
    if (this == &other) return *this;
    discard();
    tmp_ = std::move(other.tmp_);
    path_ = std::move(other.path_);
    id_ = std::move(other.id_);
    rootfs_ = std::move(other.rootfs_);
    remover_ = std::move(other.remover_);
    return *this;
}

void StagedPlugin::discard() noexcept {
    if (tmp_ == nullptr) return;
    rootfs_.reset();
    try {
        (void)static_cast<bool>(remover_(tmp_->get(), id_));
    } catch (const std::exception&) {
        // Out of memory; what is left is in tmp/, and removed when the store is opened.
    }
    tmp_.reset();
}

}  // namespace brokerd
