extern "C" int plugin_answer() { return PLUGIN_ANSWER; }
