// The second translation unit of the wrapper's tests: the header may be in any number of them.
#include <mailwire.hpp>

bool twice() { return mailwire::client_options("smtp://localhost").get() != nullptr; }
