// Printing futures with fmt. Not part of remuda.hpp, so that the library does not need fmt.
#pragma once

#include <fmt/format.h>

#include <string>

#include "remuda/future.hpp"

template <class T>
struct fmt::formatter<remuda::future<T>> : fmt::formatter<std::string> {
  template <class Context>
  auto format(const remuda::future<T>& f, Context& context) const {
    return fmt::formatter<std::string>::format(remuda::to_string(f), context);
  }
};
