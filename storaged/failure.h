// How code that runs in the worker threads reports that the disk or the database failed.
//
// Such failures can come from any statement, and the answer is always the same: undo the operation and say what kind of
// failure it was. So they travel as one exception from where they happen to the strand (strand.cc), the only place that
// catches them and makes an Error of them. Everything a caller decides on (not found, over quota ...) is a Result as
// elsewhere.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "common/error.h"

namespace mox::storaged {

/// The disk or the database refused; `error` is what the caller of the operation is told. Text for the log is in
/// what().
class StoreFailure : public std::exception {
  public:
    StoreFailure(Error error, std::string log_text) : error_(std::move(error)), log_text_(std::move(log_text)) {}
    const Error& error() const { return error_; }
    const char* what() const noexcept override { return log_text_.c_str(); }

  private:
    Error error_;
    std::string log_text_;
};

/// What an errno of a file operation means for the caller: no_space, io or internal, always temporary.
Error error_of_errno(int number);
/// Throws StoreFailure for the present errno.
[[noreturn]] void fail_errno(std::string_view doing);

}  // namespace mox::storaged
