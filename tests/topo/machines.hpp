// Machines that hwloc's synthetic form cannot describe, as its XML.
#pragma once

namespace topo_test {

/// Two fast cores with two threads each, CPUs 0 to 3, and four slow ones, CPUs 4 to 7, that share an L2.
inline constexpr char hybrid[] = R"(<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0">
  <object type="Machine" os_index="0" cpuset="0xff" complete_cpuset="0xff" allowed_cpuset="0xff" nodeset="0x1"
      complete_nodeset="0x1" allowed_nodeset="0x1" gp_index="1">
    <object type="Package" os_index="0" cpuset="0xff" complete_cpuset="0xff" nodeset="0x1" complete_nodeset="0x1"
        gp_index="2">
      <object type="NUMANode" os_index="0" cpuset="0xff" complete_cpuset="0xff" nodeset="0x1" complete_nodeset="0x1"
          gp_index="3" local_memory="17179869184"/>
      <object type="L3Cache" cpuset="0xff" complete_cpuset="0xff" nodeset="0x1" complete_nodeset="0x1" gp_index="4"
          cache_size="12582912" depth="3" cache_linesize="64" cache_associativity="12" cache_type="0">
        <object type="L2Cache" cpuset="0x3" complete_cpuset="0x3" nodeset="0x1" complete_nodeset="0x1"
            gp_index="30" cache_size="1310720" depth="2" cache_linesize="64" cache_associativity="10" cache_type="0">
        <object type="Core" os_index="0" cpuset="0x3" complete_cpuset="0x3" nodeset="0x1" complete_nodeset="0x1"
            gp_index="5">
          <object type="PU" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1"
              gp_index="6"/>
          <object type="PU" os_index="1" cpuset="0x2" complete_cpuset="0x2" nodeset="0x1" complete_nodeset="0x1"
              gp_index="7"/>
        </object>
        </object>
        <object type="L2Cache" cpuset="0xc" complete_cpuset="0xc" nodeset="0x1" complete_nodeset="0x1"
            gp_index="31" cache_size="1310720" depth="2" cache_linesize="64" cache_associativity="10" cache_type="0">
        <object type="Core" os_index="4" cpuset="0xc" complete_cpuset="0xc" nodeset="0x1" complete_nodeset="0x1"
            gp_index="8">
          <object type="PU" os_index="2" cpuset="0x4" complete_cpuset="0x4" nodeset="0x1" complete_nodeset="0x1"
              gp_index="9"/>
          <object type="PU" os_index="3" cpuset="0x8" complete_cpuset="0x8" nodeset="0x1" complete_nodeset="0x1"
              gp_index="10"/>
        </object>
        </object>
        <object type="L2Cache" cpuset="0xf0" complete_cpuset="0xf0" nodeset="0x1" complete_nodeset="0x1"
            gp_index="11" cache_size="2097152" depth="2" cache_linesize="64" cache_associativity="16" cache_type="0">
          <object type="Core" os_index="8" cpuset="0x10" complete_cpuset="0x10" nodeset="0x1" complete_nodeset="0x1"
              gp_index="12">
            <object type="PU" os_index="4" cpuset="0x10" complete_cpuset="0x10" nodeset="0x1" complete_nodeset="0x1"
                gp_index="13"/>
          </object>
          <object type="Core" os_index="9" cpuset="0x20" complete_cpuset="0x20" nodeset="0x1" complete_nodeset="0x1"
              gp_index="14">
            <object type="PU" os_index="5" cpuset="0x20" complete_cpuset="0x20" nodeset="0x1" complete_nodeset="0x1"
                gp_index="15"/>
          </object>
          <object type="Core" os_index="10" cpuset="0x40" complete_cpuset="0x40" nodeset="0x1" complete_nodeset="0x1"
              gp_index="16">
            <object type="PU" os_index="6" cpuset="0x40" complete_cpuset="0x40" nodeset="0x1" complete_nodeset="0x1"
                gp_index="17"/>
          </object>
          <object type="Core" os_index="11" cpuset="0x80" complete_cpuset="0x80" nodeset="0x1" complete_nodeset="0x1"
              gp_index="18">
            <object type="PU" os_index="7" cpuset="0x80" complete_cpuset="0x80" nodeset="0x1" complete_nodeset="0x1"
                gp_index="19"/>
          </object>
        </object>
      </object>
    </object>
  </object>
  <cpukind cpuset="0xf0" forced_efficiency="0">
    <info name="CoreType" value="IntelAtom"/>
  </cpukind>
  <cpukind cpuset="0x0f" forced_efficiency="1">
    <info name="CoreType" value="IntelCore"/>
  </cpukind>
</topology>
)";

/// Four packages of two cores, one NUMA node each, of which node 3 has no memory. They
/// are a ring, 0 1 3 2, of distance 16 to a neighbour and 22 across. CPU 8 is offline.
inline constexpr char four_nodes[] = R"(<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0">
<object type="Machine" os_index="0" cpuset="0xff" complete_cpuset="0x1ff" allowed_cpuset="0xff" nodeset="0xf"
    complete_nodeset="0xf" allowed_nodeset="0xf" gp_index="1">
<object type="Package" os_index="0" cpuset="0x3" complete_cpuset="0x3" nodeset="0x1" complete_nodeset="0x1"
    gp_index="16">
<object type="NUMANode" os_index="0" cpuset="0x3" complete_cpuset="0x3" nodeset="0x1" complete_nodeset="0x1"
    gp_index="11" local_memory="8589934592"/>
<object type="Core" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1"
    gp_index="12">
<object type="PU" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" gp_index="13"/>
</object>
<object type="Core" os_index="1" cpuset="0x2" complete_cpuset="0x2" nodeset="0x1" complete_nodeset="0x1"
    gp_index="14">
<object type="PU" os_index="1" cpuset="0x2" complete_cpuset="0x2" nodeset="0x1" complete_nodeset="0x1" gp_index="15"/>
</object>
</object>
<object type="Package" os_index="1" cpuset="0xc" complete_cpuset="0xc" nodeset="0x2" complete_nodeset="0x2"
    gp_index="22">
<object type="NUMANode" os_index="1" cpuset="0xc" complete_cpuset="0xc" nodeset="0x2" complete_nodeset="0x2"
    gp_index="17" local_memory="8589934592"/>
<object type="Core" os_index="0" cpuset="0x4" complete_cpuset="0x4" nodeset="0x2" complete_nodeset="0x2"
    gp_index="18">
<object type="PU" os_index="2" cpuset="0x4" complete_cpuset="0x4" nodeset="0x2" complete_nodeset="0x2" gp_index="19"/>
</object>
<object type="Core" os_index="1" cpuset="0x8" complete_cpuset="0x8" nodeset="0x2" complete_nodeset="0x2"
    gp_index="20">
<object type="PU" os_index="3" cpuset="0x8" complete_cpuset="0x8" nodeset="0x2" complete_nodeset="0x2" gp_index="21"/>
</object>
</object>
<object type="Package" os_index="2" cpuset="0x30" complete_cpuset="0x30" nodeset="0x4" complete_nodeset="0x4"
    gp_index="28">
<object type="NUMANode" os_index="2" cpuset="0x30" complete_cpuset="0x30" nodeset="0x4" complete_nodeset="0x4"
    gp_index="23" local_memory="8589934592"/>
<object type="Core" os_index="0" cpuset="0x10" complete_cpuset="0x10" nodeset="0x4" complete_nodeset="0x4"
    gp_index="24">
<object type="PU" os_index="4" cpuset="0x10" complete_cpuset="0x10" nodeset="0x4" complete_nodeset="0x4"
    gp_index="25"/>
</object>
<object type="Core" os_index="1" cpuset="0x20" complete_cpuset="0x20" nodeset="0x4" complete_nodeset="0x4"
    gp_index="26">
<object type="PU" os_index="5" cpuset="0x20" complete_cpuset="0x20" nodeset="0x4" complete_nodeset="0x4"
    gp_index="27"/>
</object>
</object>
<object type="Package" os_index="3" cpuset="0xc0" complete_cpuset="0xc0" nodeset="0x8" complete_nodeset="0x8"
    gp_index="34">
<object type="NUMANode" os_index="3" cpuset="0xc0" complete_cpuset="0xc0" nodeset="0x8" complete_nodeset="0x8"
    gp_index="29"/>
<object type="Core" os_index="0" cpuset="0x40" complete_cpuset="0x40" nodeset="0x8" complete_nodeset="0x8"
    gp_index="30">
<object type="PU" os_index="6" cpuset="0x40" complete_cpuset="0x40" nodeset="0x8" complete_nodeset="0x8"
    gp_index="31"/>
</object>
<object type="Core" os_index="1" cpuset="0x80" complete_cpuset="0x80" nodeset="0x8" complete_nodeset="0x8"
    gp_index="32">
<object type="PU" os_index="7" cpuset="0x80" complete_cpuset="0x80" nodeset="0x8" complete_nodeset="0x8"
    gp_index="33"/>
</object>
</object>
</object>
<distances2 type="NUMANode" nbobjs="4" kind="5" name="NUMALatency" indexing="os">
<indexes length="8">0 1 2 3 </indexes>
<u64values length="48">10 16 16 22 16 10 22 16 16 22 10 16 22 16 16 10 </u64values>
</distances2>
</topology>
)";

}  // namespace topo_test
