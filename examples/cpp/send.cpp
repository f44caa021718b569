// Sends the message on standard input: send URL SENDER RECIPIENT... < message.eml
#include <iostream>
#include <iterator>
#include <mailwire.hpp>

static void print(const mailwire::report &report) {
    for (const mailwire::recipient &recipient : report)
        std::cout << recipient.address << ": " << recipient.smtp_code << " " << recipient.text << "\n";
}

int main(int argc, char **argv) {
    if (argc < 4) {
        std::cerr << "usage: " << argv[0] << " URL SENDER RECIPIENT... < message.eml\n";
        return 2;
    }
    std::string message(std::istreambuf_iterator<char>(std::cin), {});
    try {
        print(mailwire::send(argv[1], argv[2], {argv + 3, argv + argc}, message));
    } catch (const mailwire::error &error) {
        print(error.report());
        std::cerr << error.what() << "\n";
        return 1;
    }
}
