// fieldpress as an operator plugin of ADIOS2 (plugin interface version 2, ADIOS2 2.12 and later). Parameters, and what
// a block looks like in the file, are in Rust beside this file; docs/hosts.md describes both for users.

#include "fieldpress-adios2/src/lib.rs.h"

#include "rust/cxx.h"

#include <adios2/plugin/PluginOperatorInterface.h>

#include <cmath>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

static_assert(ADIOS2_PLUGIN_OPERATOR_INTERFACE == 2, "this operator is written for version 2 of the plugin interface");

// ADIOS2's own logging, whose header it does not install. The plugin is linked with no ADIOS2, so that it serves any:
// the function is there where the program is linked with one, and not where Python has loaded one for itself alone.
namespace adios2
{
namespace helper
{
enum LogMode : char
{
    ERROR = 'E'
};
__attribute__((weak)) void Log(const std::string &component, const std::string &source, const std::string &activity,
                               const std::string &message, const LogMode mode);
} // namespace helper
} // namespace adios2

namespace fieldpress
{
namespace adios2
{
namespace
{

// Says what is wrong where users look for what ADIOS2 says.
void log_error(const std::string &activity, const std::string &what)
{
    if (::adios2::helper::Log)
        ::adios2::helper::Log("Operator", "fieldpress", activity, what, ::adios2::helper::ERROR);
    else
        std::cerr << "[ADIOS2 ERROR] <Operator> <fieldpress> <" << activity << "> : " << what << std::endl;
}

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
    // Parameters that are wrong are said at once. They cannot be refused here: ADIOS2 makes operators in a function
    // that lets no exception out, so that the program would end.
    explicit PluginOperator(const ::adios2::Params &parameters) : PluginOperatorInterface(parameters)
    {
        try
        {
            const auto given = this->given();
            check_parameters({given.data(), given.size()});
        }
        catch (const rust::Error &error)
        {
            tell("OperatorCreate", error.what());
        }
    }

    // ADIOS2 asks before it reserves memory for a block, so this is where parameters that are wrong are refused:
    // nothing has been written then. (BP4 does not ask; there Operate refuses them.)
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
                tell("GetEstimatedSize", error.what());
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
            tell("Operate", error.what());
            failed(error.what());
        }
    }

    // The interface does not say how large `data` is: what is written is what the block's checked header declares.
    // Reading a file trusts whoever wrote it (docs/hosts.md).
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
        const auto given = this->given();
        try
        {
            return configure({given.data(), given.size()},
                             {m_AccuracyRequested.error, m_AccuracyRequested.norm, m_AccuracyRequested.relative});
        }
        catch (const rust::Error &error)
        {
            tell("configure", error.what());
            invalid(error.what());
        }
    }

    std::vector<Parameter> given() const
    {
        std::vector<Parameter> parameters;
        for (const auto &parameter : m_Parameters)
            parameters.push_back({rust::String::lossy(parameter.first), rust::String::lossy(parameter.second)});
        return parameters;
    }

    // Says, once, what is wrong while writing. The exception that follows says so, too, but what ADIOS2 and Python do
    // after it (closing a file with a block that is not there) may end the program before anyone has printed it.
    void tell(const std::string &activity, const std::string &what) const
    {
        const std::lock_guard<std::mutex> lock(m_ReportMutex);
        if (what != m_Told)
            log_error(activity, what);
        m_Told = what;
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

    mutable std::mutex m_ReportMutex;
    mutable std::string m_Told;
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
