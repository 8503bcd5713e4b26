// Steps joined by then(): each runs when the one before has a value. An error passes the remaining steps by and is
// thrown by get().

#include <exception>
#include <iostream>
#include <remuda/remuda.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

std::string strip(std::string text) {
  text.erase(0, text.find_first_not_of(' '));
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

int parse(const std::string& digits) {
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos) {
    throw std::invalid_argument("'" + digits + "' is not a number");
  }
  return std::stoi(digits);
}

int main() {
  remuda::thread_pool pool;

  std::vector<remuda::future<std::string>> lines;
  for (const std::string text : {"  12", "seven", "30  "}) {
    lines.push_back(pool.submit(strip, text).then(parse).then([](int n) {
      return std::to_string(n) + " squared is " + std::to_string(n * n);
    }));
  }
  for (const auto& line : lines) {
    try {
      std::cout << line.get() << '\n';
    } catch (const std::exception& e) {
      std::cout << "error: " << e.what() << '\n';
    }
  }
}
