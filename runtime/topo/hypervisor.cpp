#include "runtime/topo/hypervisor.hpp"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include <array>
#include <cstring>
#include <fstream>
#include <string_view>

#include "runtime/topo/read_file.hpp"

namespace remuda::topo {
namespace {

struct known_name {
  std::string_view sign;
  std::string_view name;
};

// What the CPU says in a virtual machine.
constexpr std::array<known_name, 10> signatures{{
    {"KVMKVMKVM", "KVM"},
    {"Linux KVM Hv", "KVM"},
    {"Microsoft Hv", "Hyper-V"},
    {"VMwareVMware", "VMware"},
    {"XenVMMXenVMM", "Xen"},
    {"TCGTCGTCGTCG", "QEMU"},
    {"VBoxVBoxVBox", "VirtualBox"},
    {"bhyve bhyve ", "bhyve"},
    {"prl hyperv  ", "Parallels"},
    {"ACRNACRNACRN", "ACRN"},
}};

// What the firmware says, as vendor and product. Providers of machines to rent come last: theirs may be whole machines.
constexpr std::array<known_name, 12> firmware{{
    {"VMware", "VMware"},
    {"VirtualBox", "VirtualBox"},
    {"innotek", "VirtualBox"},
    {"Microsoft Corporation Virtual Machine", "Hyper-V"},
    {"Parallels", "Parallels"},
    {"Xen", "Xen"},
    {"BHYVE", "bhyve"},
    {"KVM", "KVM"},
    {"QEMU", "QEMU"},
    {"OpenStack", "KVM"},
    {"Google Compute Engine", "KVM"},
    {"Amazon EC2", "Nitro"},
}};

template <class Table>
std::string look_up(const Table& table, std::string_view text) {
  for (const known_name& each : table) {
    if (text.find(each.sign) != std::string_view::npos) return std::string(each.name);
  }
  return {};
}

// Twelve letters that a hypervisor puts into the leaf that no CPU uses.
std::string signature_of_cpu() {
#if defined(__x86_64__) || defined(__i386__)
  unsigned largest = 0;
  std::array<unsigned, 3> words{};
  __cpuid(0x40000000, largest, words[0], words[1], words[2]);
  std::array<char, sizeof words + 1> letters{};
  std::memcpy(letters.data(), words.data(), sizeof words);
  return letters.data();
#else
  return {};
#endif
}

enum class flag { absent, present, not_told };

// Of x86: CPUs of other kinds have no flag for it.
flag hypervisor_flag(const std::string& root) {
  std::ifstream file(root + "/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("flags"))
      return (line + ' ').find(" hypervisor ") != std::string::npos ? flag::present : flag::absent;
  }
  return flag::not_told;
}

}  // namespace

std::string hypervisor_name(const std::string& root) {
  const flag told = hypervisor_flag(root);
  if (told == flag::present && root.empty()) {
    if (std::string name = look_up(signatures, signature_of_cpu()); !name.empty()) return name;
  }
  if (const std::string type = first_line(root + "/sys/hypervisor/type"); !type.empty()) {
    return type == "xen" ? "Xen" : type;
  }
  if (told != flag::absent) {
    const std::string folder = root + "/sys/class/dmi/id/";
    const std::string maker = first_line(folder + "sys_vendor") + ' ' + first_line(folder + "product_name");
    if (std::string name = look_up(firmware, maker); !name.empty()) return name;
  }
  return told == flag::present ? "unknown" : std::string();
}

}  // namespace remuda::topo
