#include "tools/remuda/verbs.hpp"

int main(int argc, char** argv) { return remuda::tool::run(argc, argv); }
