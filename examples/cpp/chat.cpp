// A conversation: one message per line, until the end of input.   ./chat [model directory or GGUF file]
#include <qaio.hpp>

#include <iostream>
#include <string>
#include <string_view>

int main(int argc, char **argv)
{
    try {
        qaio::Model model = argc > 1 ? qaio::Model::load(argv[1]) : qaio::Model::load();
        qaio::Session session(model);

        std::string message;
        while (std::cout << "> " << std::flush, std::getline(std::cin, message)) {
            try {
                session.send(
                    message, R"({"max_tokens": 200, "truncate": true})", nullptr,
                    [](std::string_view json) {
                        bool happy = json.find("\"label\":\"正面\"") != json.npos;
                        std::cout << (happy ? "😄 LLM 情感判断: 正面\n" : "😄 LLM 情感判断: 负面\n");
                    },
                    [](std::string_view piece) { std::cout << piece << std::flush; });
                std::cout << '\n';
            } catch (const qaio::Error &error) {
                if (error.status() != QAIO_STATUS_EMPTY_TEXT) // an empty line is no reason to leave
                    throw;
            }
        }
        std::cout << '\n';
    } catch (const qaio::Error &error) {
        std::cerr << "chat: " << error.what() << '\n';
        return 1;
    }
}
