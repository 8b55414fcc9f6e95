// The ADIOS2 operator through ADIOS2's C++ interface: engines, types, blocks, steps, configuration files, readers that
// know nothing of fieldpress, threads, and every error that a program can catch.
//
//   test_adios2 WORK_DIR

#include <adios2.h>
#include <fieldpress.hpp>

#include <algorithm>
#include <cerrno>
#include <complex>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../check.h"

using adios2::Dims;
using adios2::Params;

static std::string work;

static Params parameters(Params more)
{
  more["PluginName"] = "fieldpress";
  more["PluginLibrary"] = "fieldpress_adios2";
  more.emplace("threads", "1");
  return more;
}

// An error of one of the operator's kinds that mentions each word.
static void fails(const std::vector<std::string> &words, const std::function<void()> &call)
{
  try
  {
    call();
  }
  catch (const std::exception &error)
  {
    for (const auto &word : words)
      if (std::string(error.what()).find(word) == std::string::npos)
      {
        std::printf("'%s' does not mention '%s'\n", error.what(), word.c_str());
        std::exit(1);
      }
    return;
  }
  std::printf("no error; expected one on '%s'\n", words.front().c_str());
  std::exit(1);
}

template <class T>
struct element
{
  static T at(const double i, const double phase) { return T(4 * std::sin(0.02 * i + phase)); }
};
template <class T>
struct element<std::complex<T>>
{
  static std::complex<T> at(const double i, const double phase)
  {
    return {element<T>::at(i, phase), element<T>::at(i, phase + 1)};
  }
};
template <class T>
static std::vector<T> wave(const size_t count, const double phase)
{
  std::vector<T> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = element<T>::at(double(i), phase);
  return values;
}

static double largest(const double value) { return std::fabs(value); }
template <class T>
static double largest(const std::complex<T> value)
{
  return std::fmax(std::fabs(value.real()), std::fabs(value.imag()));
}
template <class T>
static double error(const std::vector<T> &a, const std::vector<T> &b)
{
  CHECK(a.size() == b.size());
  double error = 0;
  for (size_t i = 0; i < a.size(); ++i)
    error = std::fmax(error, largest(a[i] - b[i]));
  return error;
}

// Three blocks and one without elements in each of three steps, read back by a reader that names no operator.
template <class T>
static void blocks_and_steps(const std::string &engine, const std::string &type)
{
  const std::string path = work + "/" + engine + "-" + type + ".bp";
  const size_t steps = 3, blocks = 3, ny = 40, nx = 50, count = 8 * ny * nx;
  {
    adios2::ADIOS adios;
    auto io = adios.DeclareIO("writer");
    io.SetEngine(engine);
    auto variable = io.DefineVariable<T>("u", {8 * blocks, ny, nx}, {0, 0, 0}, {8, ny, nx});
    variable.AddOperation("plugin", parameters({{"accuracy", "0.001"}, {"mode", "ABS"}}));
    auto writer = io.Open(path, adios2::Mode::Write);
    for (size_t step = 0; step < steps; ++step)
    {
      writer.BeginStep();
      std::vector<std::vector<T>> data;
      for (size_t block = 0; block < blocks; ++block)
        data.push_back(wave<T>(count, double(step * blocks + block)));
      for (size_t block = 0; block < blocks; ++block)
      {
        variable.SetSelection({{block * 8, 0, 0}, {8, ny, nx}});
        writer.Put(variable, data[block].data(), block == 1 ? adios2::Mode::Sync : adios2::Mode::Deferred);
        if (block == 0)
          writer.PerformPuts();
      }
      variable.SetSelection({{0, 0, 0}, {0, ny, nx}});
      writer.Put(variable, data[0].data(), adios2::Mode::Sync);
      variable.SetSelection({{0, 0, 0}, {0, 0, 0}});
      writer.Put(variable, data[0].data(), adios2::Mode::Sync);
      writer.EndStep();
    }
    writer.Close();
  }
  adios2::ADIOS adios;
  auto io = adios.DeclareIO("reader");
  io.SetEngine(engine);
  auto reader = io.Open(path, adios2::Mode::Read);
  size_t step = 0;
  for (; reader.BeginStep() == adios2::StepStatus::OK; ++step)
  {
    auto variable = io.InquireVariable<T>("u");
    CHECK(variable && variable.Shape() == (Dims{8 * blocks, ny, nx}));
    variable.SetSelection({{0, 0, 0}, {8 * blocks, ny, nx}});
    std::vector<T> all;
    reader.Get(variable, all, adios2::Mode::Sync);
    for (size_t block = 0; block < blocks; ++block)
    {
      const std::vector<T> part(all.begin() + long(block * count), all.begin() + long((block + 1) * count));
      CHECK(error(part, wave<T>(count, double(step * blocks + block))) <= 0.001);
    }
    // A box across two blocks.
    variable.SetSelection({{6, 10, 20}, {4, 5, 6}});
    std::vector<T> box;
    reader.Get(variable, box, adios2::Mode::Sync);
    for (size_t t = 0; t < 4; ++t)
      for (size_t y = 0; y < 5; ++y)
        for (size_t x = 0; x < 6; ++x)
          CHECK(box[(t * 5 + y) * 6 + x] == all[((t + 6) * ny + y + 10) * nx + x + 20]);
    reader.EndStep();
  }
  CHECK(step == steps);
  reader.Close();
}

// BP4 reserves room for a block's own bytes and little more: values that nothing makes smaller must not outgrow it.
static void incompressible_and_tiny(const std::string &engine)
{
  const std::string path = work + "/" + engine + "-tiny.bp";
  std::vector<std::vector<double>> data;
  unsigned long long state = 1;
  for (size_t i = 0; i < 400; ++i)
  {
    std::vector<double> values(1 + i % 40 + (i % 50 == 0 ? 5000 : 0));
    for (double &value : values)
    {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      std::memcpy(&value, &state, sizeof value);
    }
    data.push_back(values);
  }
  {
    adios2::ADIOS adios;
    auto io = adios.DeclareIO("writer");
    io.SetEngine(engine);
    auto writer = io.Open(path, adios2::Mode::Write);
    writer.BeginStep();
    for (size_t i = 0; i < data.size(); ++i)
    {
      auto variable = io.DefineVariable<double>("v" + std::to_string(i), {}, {}, {data[i].size()});
      variable.AddOperation("plugin", parameters({{"mode", "LOSSLESS"}}));
      writer.Put(variable, data[i].data(), adios2::Mode::Sync);
    }
    writer.EndStep();
    writer.Close();
  }
  adios2::ADIOS adios;
  auto io = adios.DeclareIO("reader");
  io.SetEngine(engine);
  auto reader = io.Open(path, adios2::Mode::Read);
  reader.BeginStep();
  for (size_t i = 0; i < data.size(); ++i)
  {
    auto variable = io.InquireVariable<double>("v" + std::to_string(i));
    variable.SetBlockSelection(0);
    std::vector<double> values;
    reader.Get(variable, values, adios2::Mode::Sync);
    CHECK(values.size() == data[i].size());
    CHECK(std::memcmp(values.data(), data[i].data(), values.size() * sizeof(double)) == 0);
  }
  reader.EndStep();
  reader.Close();
}

// The operator from a configuration file, with nothing in the code.
static void configured(const std::string &file, const std::string &text)
{
  const std::string config = work + "/" + file, path = work + "/" + file + ".bp";
  std::ofstream(config) << text;
  const auto values = wave<float>(8 * 64 * 64, 0);
  {
    adios2::ADIOS adios(config);
    auto io = adios.DeclareIO("output");
    auto variable = io.DefineVariable<float>("u", {8, 64, 64}, {0, 0, 0}, {8, 64, 64});
    auto writer = io.Open(path, adios2::Mode::Write);
    writer.BeginStep();
    writer.Put(variable, values.data());
    writer.EndStep();
    writer.Close();
  }
  std::ifstream data(path + "/data.0", std::ios::ate | std::ios::binary);
  CHECK(data.tellg() > 0 && size_t(data.tellg()) < values.size() * sizeof(float) / 4);
  adios2::ADIOS adios;
  auto io = adios.DeclareIO("reader");
  auto reader = io.Open(path, adios2::Mode::ReadRandomAccess);
  std::vector<float> read;
  reader.Get(io.InquireVariable<float>("u"), read, adios2::Mode::Sync);
  CHECK(error(read, values) <= 0.01);
  reader.Close();
}

// Many variables that share the operator's threads, read by many of BP4's threads.
static void threads()
{
  const std::string path = work + "/threads.bp";
  const size_t count = 60 * 70;
  {
    adios2::ADIOS adios;
    auto io = adios.DeclareIO("writer");
    io.SetEngine("BP4");
    auto variable = io.DefineVariable<float>("u", {16, 60, 70}, {0, 0, 0}, {1, 60, 70});
    variable.AddOperation("plugin", parameters({{"accuracy", "0.001"}, {"threads", "2"}}));
    auto writer = io.Open(path, adios2::Mode::Write);
    writer.BeginStep();
    for (size_t block = 0; block < 16; ++block)
    {
      variable.SetSelection({{block, 0, 0}, {1, 60, 70}});
      writer.Put(variable, wave<float>(count, double(block)).data(), adios2::Mode::Sync);
    }
    writer.EndStep();
    writer.Close();
  }
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i)
    readers.emplace_back([&path] {
      adios2::ADIOS adios;
      auto io = adios.DeclareIO("reader");
      io.SetEngine("BP4");
      io.SetParameter("Threads", "4");
      auto reader = io.Open(path, adios2::Mode::ReadRandomAccess);
      std::vector<float> all;
      reader.Get(io.InquireVariable<float>("u"), all, adios2::Mode::Sync);
      for (size_t block = 0; block < 16; ++block)
        CHECK(error(std::vector<float>(all.begin() + long(block * 4200), all.begin() + long((block + 1) * 4200)),
                    wave<float>(4200, double(block))) <= 0.001);
      reader.Close();
    });
  for (auto &reader : readers)
    reader.join();
}

// A step with one variable and the parameters; BP5, whose errors can be caught.
template <class T>
static void write(const std::string &name, const Dims &dims, const Params &more)
{
  size_t count = 1;
  for (const size_t n : dims)
    count *= n;
  const auto values = wave<T>(count, 0);
  adios2::ADIOS adios;
  auto io = adios.DeclareIO("writer");
  io.SetEngine("BP5");
  auto variable = io.DefineVariable<T>("u", dims, Dims(dims.size(), 0), dims);
  variable.AddOperation("plugin", parameters(more));
  auto writer = io.Open(work + "/" + name, adios2::Mode::Write);
  writer.BeginStep();
  writer.Put(variable, values.data(), adios2::Mode::Sync);
  writer.EndStep();
  writer.Close();
}

static std::string data_file(const std::string &name) { return work + "/" + name + "/data.0"; }

static size_t size_of_file(const std::string &path)
{
  std::ifstream file(path, std::ios::ate | std::ios::binary);
  return file ? size_t(file.tellg()) : 0;
}

static void errors_of_writing()
{
  const Dims dims{4, 40, 50};
  const auto refused = [&](const std::vector<std::string> &words, const Params &more) {
    fails(words, [&] { write<float>("refused.bp", dims, more); });
    CHECK(size_of_file(data_file("refused.bp")) == 0); // nothing reached the file
  };
  refused({"'acuracy' is not known", "accuracy", "mode", "effort", "fill_value"}, {{"acuracy", "1"}});
  refused({"accuracy is missing"}, {{"mode", "REL"}});
  refused({"mode='max'", "ABS|REL|NRMSE|PSNR|BLOCK_L2|LOSSLESS|PW_REL"}, {{"mode", "MAX"}, {"accuracy", "1"}});
  refused({"accuracy='tight'", "number"}, {{"accuracy", "tight"}});
  refused({"greater than 0"}, {{"accuracy", "-1"}});
  refused({"greater than 0"}, {{"accuracy", "nan"}});
  refused({"effort='9'", "0, 1 or 2"}, {{"accuracy", "1"}, {"effort", "9"}});
  refused({"device='gpu'", "cuda:N"}, {{"accuracy", "1"}, {"device", "gpu"}});
  refused({"threads='0'", "1 to 1024"}, {{"accuracy", "1"}, {"threads", "0"}});
  refused({"range='-2'"}, {{"accuracy", "1"}, {"range", "-2"}});
  refused({"order='F'", "C or Fortran"}, {{"accuracy", "1"}, {"order", "F"}});
  refused({"axes"}, {{"accuracy", "1"}, {"axes", "0,1,7"}});
  refused({"no/such/model"}, {{"accuracy", "1"}, {"model", "no/such/model"}});

  // A type that is not a float's: ADIOS2 warns, leaves the operator out and stores the values as they are.
  write<int>("integers.bp", {1000}, {{"accuracy", "1"}});
  CHECK(size_of_file(data_file("integers.bp")) >= 1000 * sizeof(int));
}

// The steps before an error are kept. ADIOS2 2.12 cannot close a file after an operator's error (it would write the
// metadata of a block that is not there), so the engine is destroyed instead, as the exception does of itself.
static void steps_before_an_error()
{
  const auto values = wave<float>(4000, 0);
  fails({"greater than 0"}, [&values] {
    adios2::ADIOS adios;
    auto io = adios.DeclareIO("writer");
    io.SetEngine("BP5");
    auto good = io.DefineVariable<float>("good", {80, 50}, {0, 0}, {80, 50});
    good.AddOperation("plugin", parameters({{"accuracy", "0.01"}}));
    auto bad = io.DefineVariable<float>("bad", {80, 50}, {0, 0}, {80, 50});
    bad.AddOperation("plugin", parameters({{"accuracy", "0"}}));
    auto writer = io.Open(work + "/kept.bp", adios2::Mode::Write);
    writer.BeginStep();
    writer.Put(good, values.data(), adios2::Mode::Sync);
    writer.EndStep();
    writer.BeginStep();
    writer.Put(bad, values.data(), adios2::Mode::Sync);
  });

  adios2::ADIOS reading;
  auto input = reading.DeclareIO("reader");
  auto reader = input.Open(work + "/kept.bp", adios2::Mode::Read);
  CHECK(reader.BeginStep() == adios2::StepStatus::OK);
  std::vector<float> read;
  reader.Get(input.InquireVariable<float>("good"), read, adios2::Mode::Sync);
  CHECK(error(read, values) <= 0.01);
  reader.EndStep();
  CHECK(reader.BeginStep(adios2::StepMode::Read, 0.1f) != adios2::StepStatus::OK); // no more, as yet
  reader.Close();
}

// A file system of a few hundred kB, as long as it is held; none where this process may not mount.
struct small_disk
{
  explicit small_disk(const std::string &path) : path(path)
  {
    mkdir(path.c_str(), 0755);
    mounted = mount("tmpfs", path.c_str(), "tmpfs", 0, "size=256k") == 0;
  }
  ~small_disk()
  {
    if (mounted)
      umount2(path.c_str(), MNT_DETACH);
  }
  std::string path;
  bool mounted;
};

// Steps until the disk is full, in a process of its own: what ADIOS2 makes of its buffers after the error is not ours
// to say. What it wrote down: the steps that ended, then the error.
static std::string until_full(const std::string &path)
{
  int ends[2];
  CHECK(pipe(ends) == 0);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0)
  {
    try
    {
      adios2::ADIOS adios;
      auto io = adios.DeclareIO("writer");
      io.SetEngine("BP5");
      auto variable = io.DefineVariable<double>("u", {40, 500}, {0, 0}, {40, 500});
      variable.AddOperation("plugin", parameters({{"mode", "LOSSLESS"}}));
      auto writer = io.Open(path, adios2::Mode::Write);
      for (size_t step = 0; step < 50; ++step)
      {
        writer.BeginStep();
        writer.Put(variable, wave<double>(20000, double(step)).data(), adios2::Mode::Sync);
        writer.EndStep();
        CHECK(::write(ends[1], "+", 1) == 1);
      }
    }
    catch (const std::exception &error)
    {
      const std::string text = error.what();
      CHECK(::write(ends[1], text.data(), text.size()) == ssize_t(text.size()));
    }
    _exit(0);
  }
  close(ends[1]);
  std::string told;
  char buffer[1024];
  for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    told.append(buffer, size_t(n));
  close(ends[0]);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return told;
}

static void disk_full()
{
  const small_disk disk(work + "/disk");
  if (!disk.mounted)
  {
    std::printf("left out, a tmpfs cannot be mounted here: %s\n", std::strerror(errno));
    return;
  }
  const std::string told = until_full(disk.path + "/u.bp");
  const size_t steps = std::min(told.find_first_not_of('+'), told.size());
  CHECK(steps > 0 && steps < 50);
  if (told.find("space") == std::string::npos)
  {
    std::printf("'%s' does not say that there is no space\n", told.c_str() + steps);
    std::exit(1);
  }
  adios2::ADIOS adios;
  auto io = adios.DeclareIO("reader");
  io.SetEngine("BP5");
  auto reader = io.Open(disk.path + "/u.bp", adios2::Mode::Read);
  for (size_t step = 0; step < steps; ++step)
  {
    CHECK(reader.BeginStep(adios2::StepMode::Read, 0.1f) == adios2::StepStatus::OK);
    std::vector<double> values;
    reader.Get(io.InquireVariable<double>("u"), values, adios2::Mode::Sync);
    CHECK(error(values, wave<double>(20000, double(step))) == 0);
    reader.EndStep();
  }
  reader.Close();
}

template <class T>
static void read(const std::string &name)
{
  adios2::ADIOS adios;
  auto io = adios.DeclareIO("reader");
  auto reader = io.Open(work + "/" + name, adios2::Mode::ReadRandomAccess);
  std::vector<T> values;
  reader.Get(io.InquireVariable<T>("u"), values, adios2::Mode::Sync);
  reader.Close();
}

// Damage of the data file: an exception with a reason, wherever it is.
static void errors_of_reading()
{
  write<double>("damaged.bp", {4, 40, 50}, {{"accuracy", "1e-4"}});
  const std::string path = data_file("damaged.bp");
  std::ifstream file(path, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t begin = whole.find("FPRS");
  CHECK(begin != std::string::npos);
  const auto rewrite = [&path](const std::string &bytes) { std::ofstream(path, std::ios::binary) << bytes; };
  const size_t bytes = fieldpress::codec("threads=1")
                         .compress(fieldpress::view(wave<double>(8000, 0).data(), {4, 40, 50}), fieldpress::abs(1e-4))
                         .size();
  CHECK(begin + bytes <= whole.size());
  for (size_t at = 0; at < bytes; at += 1 + bytes / 60)
  {
    std::string flipped = whole;
    flipped[begin + at] = char(flipped[begin + at] ^ 0x40);
    rewrite(flipped);
    fails({"fieldpress operator"}, [] { read<double>("damaged.bp"); });
  }
  // A block whose end was never written.
  rewrite(whole.substr(0, begin + bytes / 2) + std::string(whole.size() - begin - bytes / 2, '\0'));
  fails({"fieldpress operator"}, [] { read<double>("damaged.bp"); });
  rewrite(whole);
  read<double>("damaged.bp");
}

int main(int argc, char **argv)
{
  CHECK(argc == 2);
  work = argv[1];
  for (const std::string engine : {"BP4", "BP5"})
  {
    blocks_and_steps<float>(engine, "f32");
    blocks_and_steps<double>(engine, "f64");
    blocks_and_steps<std::complex<float>>(engine, "c32");
    blocks_and_steps<std::complex<double>>(engine, "c64");
    incompressible_and_tiny(engine);
  }
  configured("config.xml", R"(<?xml version="1.0"?>
<adios-config>
  <io name="output">
    <variable name="u">
      <operation type="plugin">
        <parameter key="PluginName" value="fieldpress"/>
        <parameter key="PluginLibrary" value="fieldpress_adios2"/>
        <parameter key="mode" value="ABS"/>
        <parameter key="accuracy" value="0.01"/>
        <parameter key="threads" value="1"/>
      </operation>
    </variable>
  </io>
</adios-config>
)");
  configured("config.yaml", R"(- IO: output
  Variables:
    - Variable: u
      Operations:
        - Type: plugin
          PluginName: fieldpress
          PluginLibrary: fieldpress_adios2
          mode: ABS
          accuracy: 0.01
          threads: 1
)");
  write<float>("fortran.bp", {50, 40, 4}, {{"accuracy", "0.001"}, {"order", "Fortran"}});
  read<float>("fortran.bp");
  write<float>("six.bp", {2, 2, 3, 4, 5, 6}, {{"accuracy", "0.001"}});
  read<float>("six.bp");
  threads();
  errors_of_writing();
  steps_before_an_error();
  errors_of_reading();
  disk_full();
  return 0;
}
