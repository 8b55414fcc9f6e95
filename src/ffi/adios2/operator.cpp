// fieldpress as an operator plugin of ADIOS2 (plugin interface version 2, ADIOS2 2.12 and later). Parameters, and what
// a block looks like in the file, are in Rust beside this file; docs/hosts.md describes both for users.

#include "fieldpress-adios2/src/lib.rs.h"

#include "rust/cxx.h"

#include <adios2/plugin/PluginOperatorInterface.h>

#include <cmath>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

static_assert(ADIOS2_PLUGIN_OPERATOR_INTERFACE == 2, "this operator is written for version 2 of the plugin interface");

namespace fieldpress
{
namespace adios2
{
namespace
{

// Errors as ADIOS2's users know them: where they come from, then what is wrong.
[[noreturn]] void invalid(const std::string &what) { throw std::invalid_argument("[fieldpress operator] " + what); }
[[noreturn]] void failed(const std::string &what) { throw std::runtime_error("[fieldpress operator] " + what); }

ElementType element_type(const ::adios2::DataType type)
{
    switch (type)
    {
    case ::adios2::DataType::Float:
        return {false, false};
    case ::adios2::DataType::Double:
        return {true, false};
    case ::adios2::DataType::FloatComplex:
        return {false, true};
    case ::adios2::DataType::DoubleComplex:
        return {true, true};
    default:
        invalid("type is not supported; expected float, double, or complex of either");
    }
}

size_t bytes_of(const ElementType element) { return (element.wide ? 8 : 4) * (element.complex ? 2u : 1u); }

rust::Slice<const size_t> slice(const size_t *values, const size_t count) { return {values, count}; }

class PluginOperator final : public ::adios2::plugin::PluginOperatorInterface
{
public:
    explicit PluginOperator(const ::adios2::Params &parameters) : PluginOperatorInterface(parameters) {}

    // ADIOS2 asks before it reserves memory for a block, so this is where parameters that are wrong are reported:
    // nothing has been written then. (BP4 does not ask; there Operate reports them.)
    size_t GetEstimatedSize(const size_t count, const size_t element_bytes, const size_t ndims,
                            const size_t *dims) const override
    {
        const auto configured = configure_now();
        if (count > 0)
        {
            try
            {
                configured->check(slice(dims, ndims));
            }
            catch (const rust::Error &error)
            {
                failed(error.what());
            }
        }
        return largest_block(count * element_bytes);
    }

    size_t Operate(const char *data, const ::adios2::Dims &, const ::adios2::Dims &dims, const ::adios2::DataType type,
                   char *block) override
    {
        const ElementType element = element_type(type);
        size_t bytes = bytes_of(element);
        for (const size_t n : dims)
            bytes *= n;
        const auto configured = configure_now();
        if (bytes == 0)
            return 0;
        try
        {
            const auto written = configured->compress(
                {reinterpret_cast<const uint8_t *>(data), bytes}, element, slice(dims.data(), dims.size()),
                {reinterpret_cast<uint8_t *>(block), largest_block(bytes)});
            report(written.achieved);
            return written.bytes;
        }
        catch (const rust::Error &error)
        {
            failed(error.what());
        }
    }

    size_t InverseOperate(const char *block, const size_t bytes, char *data) override
    {
        // An empty block. Returning 0 would make ADIOS2 take the operator's header for the values.
        if (bytes == 0)
            return 1;
        const rust::Slice<const uint8_t> slice(reinterpret_cast<const uint8_t *>(block), bytes);
        try
        {
            const size_t size = data_bytes(slice);
            report(decompress(slice, {reinterpret_cast<uint8_t *>(data), size}));
            return size;
        }
        catch (const rust::Error &error)
        {
            failed(error.what());
        }
    }

    bool IsDataTypeValid(const ::adios2::DataType type) const override
    {
        return type == ::adios2::DataType::Float || type == ::adios2::DataType::Double ||
               type == ::adios2::DataType::FloatComplex || type == ::adios2::DataType::DoubleComplex;
    }

private:
    // Parameters are read at every use: they may have been set in between, and reading them costs nothing.
    rust::Box<Operator> configure_now() const
    {
        std::vector<Parameter> parameters;
        for (const auto &parameter : m_Parameters)
            parameters.push_back({rust::String::lossy(parameter.first), rust::String::lossy(parameter.second)});
        try
        {
            return configure({parameters.data(), parameters.size()}, {m_AccuracyRequested.error, m_AccuracyRequested.norm,
                                          m_AccuracyRequested.relative});
        }
        catch (const rust::Error &error)
        {
            invalid(error.what());
        }
    }

    // What was achieved, in the norm that was asked for. ADIOS2 may decompress with one operator from several threads.
    void report(const Achieved &achieved)
    {
        const std::lock_guard<std::mutex> lock(m_ReportMutex);
        const bool relative = m_AccuracyRequested.relative;
        const bool rms = m_AccuracyRequested.norm == 0.0;
        m_AccuracyProvided.relative = relative;
        m_AccuracyProvided.norm = rms ? 0.0 : INFINITY;
        m_AccuracyProvided.error = rms ? (relative ? achieved.relative_rms : achieved.rms)
                                       : (relative ? achieved.relative_largest : achieved.largest);
    }

    std::mutex m_ReportMutex;
};

} // namespace
} // namespace adios2
} // namespace fieldpress

extern "C" {

adios2::plugin::PluginOperatorInterface *OperatorCreate(const adios2::Params &parameters)
{
    return new fieldpress::adios2::PluginOperator(parameters);
}

void OperatorDestroy(adios2::plugin::PluginOperatorInterface *plugin) { delete plugin; }
}
