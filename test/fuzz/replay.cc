// Feeds files and folders of files to a fuzz target, without libFuzzer: findings and corpus as regression tests, with any
// compiler. The last line is "N passed, 0 failed"; what fails aborts, after its name was printed.
#include <dirent.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);

namespace {

void collect(const std::string& path, std::vector<std::string>* files) {
  DIR* folder = opendir(path.c_str());
  if (!folder) return files->push_back(path);
  while (const dirent* entry = readdir(folder))
    if (entry->d_name[0] != '.') collect(path + "/" + entry->d_name, files);
  closedir(folder);
}

}  // namespace

int main(int count, char** arguments) {
  std::vector<std::string> files;
  for (int i = 1; i < count; ++i) collect(arguments[i], &files);
  std::sort(files.begin(), files.end());
  for (const std::string& name : files) {
    FILE* file = fopen(name.c_str(), "rb");
    if (!file) {
      printf("FAIL cannot read %s\n0 passed, 1 failed\n", name.c_str());
      return 1;
    }
    std::vector<uint8_t> data(1 << 16);
    data.resize(fread(data.data(), 1, data.size(), file));
    fclose(file);
    printf("%s\n", name.c_str());
    fflush(stdout);
    LLVMFuzzerTestOneInput(data.data(), data.size());
  }
  printf("%zu passed, 0 failed\n", files.size());
  return files.empty() ? 1 : 0;
}
