#include <future>
#include <ios>
#include <system_error>

#include "remuda/wire.hpp"

namespace remuda::detail {
namespace {

// A category is known by its address, which differs from process to process. Their place in this list is sent.
const std::error_category* const* categories() {
  static const std::error_category* const all[] = {&std::generic_category(), &std::system_category(),
                                                   &std::iostream_category(), &std::future_category(), nullptr};
  return all;
}

}  // namespace

void write_error_code(wire_writer& to, const std::error_code& code) {
  std::uint8_t place = 0;
  for (; categories()[place] != nullptr; ++place) {
    if (*categories()[place] != code.category()) continue;
    wire_write(to, place);
    wire_write(to, code.value());
    return;
  }
  throw serialization_error(std::string("an error code of the category \"") + code.category().name() +
                            "\" cannot travel: only those of the standard library are the same in every process");
}

std::error_code read_error_code(wire_reader& from) {
  const auto wanted = wire_read<std::uint8_t>(from);
  std::uint8_t place = 0;
  while (place != wanted && categories()[place] != nullptr) ++place;
  if (categories()[place] == nullptr) throw serialization_error("an encoded error code has an unknown category");
  return {wire_read<int>(from), *categories()[place]};
}

}  // namespace remuda::detail
