// Must not compile: each line marked "refused" is one error, whose text contains what the mark says. See check.
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <typeindex>
#include <vector>

#include "remuda/wire.hpp"

namespace {

struct point {
  int x;
};
struct with_string {
  std::string text;
};
struct needs_argument {
  explicit needs_argument(int n);
  std::string text;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(text);
  }
};

template <class T>
void write(const T& value, remuda::detail::wire_writer& to) {
  remuda::detail::wire_write(to, value);
}
template <class T>
void read(remuda::detail::wire_reader& from) {
  (void)remuda::detail::wire_read<T>(from);
}
template <class F>
void call(const F&) {
  remuda::detail::require_callable<F>();
}

// clang-format off
void values(remuda::detail::wire_writer& to, remuda::detail::wire_reader& from, std::string& text) {
  const char* chars = "";
  write(chars, to);                           // refused: a char* points into this process and means nothing in another: pass a std::string
  write(&text, to);                           // refused: a raw pointer points into this process
  write(nullptr, to);                         // refused: a raw pointer points into this process
  read<int*>(from);                           // refused: a raw pointer points into this process
  read<std::vector<point*>>(from);            // refused: a raw pointer points into this process
  read<std::map<int, const char*>>(from);     // refused: a raw pointer points into this process
  read<std::reference_wrapper<int>>(from);    // refused: pass and return values
  write(&point::x, to);                       // refused: a pointer to a member cannot be sent to a process pool
  read<std::string_view>(from);               // refused: refers to memory of this process: pass a std::string or a std::vector
  read<std::span<int>>(from);                 // refused: refers to memory of this process: pass a std::string or a std::vector
  write(std::initializer_list<int>{1}, to);   // refused: an initializer_list refers to memory of this process: pass a std::vector
  read<std::shared_ptr<int>>(from);           // refused: shares nothing with another process
  read<std::type_index>(from);                // refused: holds an address of this process
  read<std::error_condition>(from);           // refused: holds an address of this process
  read<needs_argument>(from);                 // refused: has no public default constructor: add one
  read<with_string>(from);                    // refused: neither trivially copyable nor has it cereal functions
  read<std::vector<with_string>>(from);       // refused: neither trivially copyable nor has it cereal functions
  read<std::unique_ptr<std::mutex>>(from);    // refused: neither trivially copyable nor has it cereal functions
  write([text] { return text; }, to);         // refused: pass it as an argument of submit
}

void callables(std::string& text) {
  call([text] { return text; });              // refused: captures something that cannot travel: pass it as an argument of submit
  call(std::function<void()>());              // refused: captures something that cannot travel: pass it as an argument of submit
  call(&std::string::size);                   // refused: write a lambda without captures
  call(std::ref(text));                       // refused: a process pool cannot run this
  remuda::register_exception<int>();          // refused: an exception is registered that can neither travel
}
// clang-format on

}  // namespace

int main() {
  (void)&values;
  (void)&callables;
}
