// Whether this is a virtual machine, and of what kind.
#pragma once

#include <string>

namespace remuda::topo {

/// Name of the hypervisor ("KVM", "VMware" ..), "unknown" for one that tells no name, empty when none is seen. Asks the
/// CPU itself when `root` is empty, then what /sys tells under `root`. Throws nothing but std::bad_alloc.
std::string hypervisor_name(const std::string& root);

}  // namespace remuda::topo
