#include "runtime/proc/modules.hpp"

#include <elf.h>
#include <link.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <new>
#include <span>
#include <string_view>
#include <system_error>

namespace remuda::detail {
namespace {

using segment = ElfW(Phdr);

// What is mapped at an address of the module.
const std::byte* mapped(const dl_phdr_info& info, std::uintptr_t offset) {
  return reinterpret_cast<const std::byte*>(info.dlpi_addr + offset);
}

bool is_loaded(const dl_phdr_info& info, const segment& wanted) {
  for (const segment* s = info.dlpi_phdr; s != info.dlpi_phdr + info.dlpi_phnum; ++s) {
    if (s->p_type == PT_LOAD && wanted.p_vaddr >= s->p_vaddr &&
        wanted.p_vaddr + wanted.p_memsz <= s->p_vaddr + s->p_filesz) {
      return true;
    }
  }
  return false;
}

// The build id among the notes of one segment, where it is mapped; empty if there is none.
std::span<const std::byte> build_id_in(const dl_phdr_info& info, const segment& notes) {
  const std::size_t alignment = notes.p_align == 8 ? 8 : 4;
  const auto padded = [&](std::size_t n) { return (n + alignment - 1) / alignment * alignment; };
  const std::byte* at = mapped(info, notes.p_vaddr);
  std::size_t left = notes.p_memsz;
  ElfW(Nhdr) note;
  while (left >= sizeof note) {
    std::memcpy(&note, at, sizeof note);
    const std::size_t name = sizeof note;
    const std::size_t content = padded(name + note.n_namesz);
    if (content + note.n_descsz > left) break;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof ELF_NOTE_GNU &&
        std::memcmp(at + name, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) == 0) {
      return {at + content, note.n_descsz};
    }
    const std::size_t next = padded(content + note.n_descsz);
    if (next >= left) break;
    at += next;
    left -= next;
  }
  return {};
}

std::span<const std::byte> build_id_of(const dl_phdr_info& info) {
  for (const segment* s = info.dlpi_phdr; s != info.dlpi_phdr + info.dlpi_phnum; ++s) {
    if (s->p_type != PT_NOTE || !is_loaded(info, *s)) continue;
    if (const auto id = build_id_in(info, *s); !id.empty()) return id;
  }
  return {};
}

// FNV-1a, 64 bits.
void mix(std::uint64_t& sum, const void* bytes, std::size_t n) {
  const auto* p = static_cast<const unsigned char*>(bytes);
  for (; n != 0; --n, ++p) sum = (sum ^ *p) * 0x100000001b3;
}

std::vector<std::byte> stand_in(const dl_phdr_info& info, const std::string& path) {
  std::uint64_t sum = 0xcbf29ce484222325;
  mix(sum, info.dlpi_phdr, info.dlpi_phnum * sizeof(segment));
  struct stat file {};
  if (stat(path.c_str(), &file) == 0) {
    mix(sum, &file.st_size, sizeof file.st_size);
    mix(sum, &file.st_mtim.tv_sec, sizeof file.st_mtim.tv_sec);
    mix(sum, &file.st_mtim.tv_nsec, sizeof file.st_mtim.tv_nsec);
  }
  // one that no linker writes
  std::vector<std::byte> id(sizeof "no build id" + sizeof sum);
  std::memcpy(id.data(), "no build id", sizeof "no build id");
  std::memcpy(id.data() + sizeof "no build id", &sum, sizeof sum);
  return id;
}

std::string absolute(const std::string& name) {
  std::error_code failed;
  const std::filesystem::path file = name.empty() ? "/proc/self/exe" : name;
  const std::filesystem::path path = std::filesystem::canonical(file, failed);
  return failed ? file.string() : path.string();
}

loaded_module describe(const dl_phdr_info& info, bool is_main) {
  loaded_module m;
  if (!is_main) m.name = info.dlpi_name;
  m.path = absolute(m.name);
  m.base = info.dlpi_addr;
  for (const segment* s = info.dlpi_phdr; s != info.dlpi_phdr + info.dlpi_phnum; ++s) {
    if (s->p_type == PT_LOAD && (s->p_flags & PF_X) != 0) m.code.push_back({s->p_vaddr, s->p_vaddr + s->p_memsz});
  }
  const std::span<const std::byte> id = build_id_of(info);
  m.build_id.assign(id.begin(), id.end());
  m.has_build_id = !m.build_id.empty();
  if (!m.has_build_id) m.build_id = stand_in(info, is_main ? "/proc/self/exe" : m.path);
  return m;
}

// The first module that `wanted` accepts. It is described under the loader's lock: afterwards it may be unloaded.
template <class Wanted>
std::optional<loaded_module> find(Wanted wanted) {
  struct search {
    Wanted& wanted;
    bool is_main = true;  // it is the first
    std::optional<loaded_module> found = std::nullopt;
    bool no_memory = false;
  } state{wanted};
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        auto& s = *static_cast<search*>(data);
        try {
          if (s.wanted(*info, s.is_main)) s.found = describe(*info, s.is_main);
        } catch (...) {
          s.no_memory = true;  // nothing may be thrown through the loader
        }
        s.is_main = false;
        return s.found || s.no_memory ? 1 : 0;
      },
      &state);
  if (state.no_memory) throw std::bad_alloc();
  return std::move(state.found);
}

bool has_code_at(const dl_phdr_info& info, std::uintptr_t address) {
  const std::uintptr_t offset = address - info.dlpi_addr;
  for (const segment* s = info.dlpi_phdr; s != info.dlpi_phdr + info.dlpi_phnum; ++s) {
    if (s->p_type == PT_LOAD && (s->p_flags & PF_X) != 0 && offset >= s->p_vaddr && offset - s->p_vaddr < s->p_memsz) {
      return true;
    }
  }
  return false;
}

}  // namespace

loaded_module main_module() {
  return *find([](const dl_phdr_info&, bool) { return true; });
}

std::optional<loaded_module> module_with_code(std::uintptr_t address) {
  return find([=](const dl_phdr_info& info, bool) { return has_code_at(info, address); });
}

std::optional<loaded_module> module_with_build_id(const std::vector<std::byte>& build_id) {
  return find([&](const dl_phdr_info& info, bool is_main) {
    const std::span<const std::byte> own = build_id_of(info);
    return own.empty() ? describe(info, is_main).build_id == build_id : std::ranges::equal(own, build_id);
  });
}

std::optional<loaded_module> module_of_handle(void* handle) {
  const auto* map = static_cast<const link_map*>(handle);
  return find([=](const dl_phdr_info& info, bool) {
    return info.dlpi_addr == map->l_addr && std::string_view(info.dlpi_name) == map->l_name;
  });
}

}  // namespace remuda::detail
