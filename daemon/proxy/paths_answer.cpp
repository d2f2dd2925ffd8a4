#include "daemon/proxy/paths_answer.h"

#include <utility>

namespace brokerd {

std::size_t PathsAnswer::take_body(std::string_view piece) {
    if (too_long_ || piece.size() > kMaxPathsAnswer - body_.size()) {
        too_long_ = true;
        return 0;
    }
    body_.append(piece);
    return piece.size();
}

Result<std::size_t> PathsAnswer::rewrite() {
    auto rewritten = rewrite_mountpoints(*paths_, body_);
    if (!rewritten) return fail(rewritten.error());
    body_ = *std::move(rewritten);
    return body_.size();
}

bool PathsAnswer::write(ByteQueue& out) {
    written_ += out.append(std::string_view{body_}.substr(written_));
    return written_ == body_.size();
}

}  // namespace brokerd
