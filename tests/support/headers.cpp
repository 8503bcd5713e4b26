// Nothing: a source, so that the headers that all tests share are compiled ahead.
