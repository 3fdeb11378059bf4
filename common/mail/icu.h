// ICU as all of mox uses it: what it knows is in its library.
#pragma once

#include <unicode/udata.h>

namespace mox::mail {

/// To be called before anything else of ICU, as often as one likes. ICU would look for more of its data in files, and a
/// confined process would be killed for it.
inline void use_no_files() {
    static const UErrorCode done = [] {
        UErrorCode error = U_ZERO_ERROR;
        udata_setFileAccess(UDATA_NO_FILES, &error);
        return error;
    }();
    static_cast<void>(done);
}

}  // namespace mox::mail
