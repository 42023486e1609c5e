/*
 * What the workload `g++` compiles: templates, instanced deeply and often, over the containers of
 * the standard library. The compiler's heap is another one than that of C: many small nodes for
 * types and for names that are mangled, most of which live to the end.
 */
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace {

/* ---- Numbers that are types ---------------------------------------------------------------- */

template <unsigned long N> struct Number {
    static constexpr unsigned long value = N;
};

template <unsigned long N, unsigned long D = 2, bool Done = (D * D > N)> struct SmallestDivisor {
    static constexpr unsigned long value =
        N % D == 0 ? D : SmallestDivisor<N, D + 1, ((D + 1) * (D + 1) > N)>::value;
};

template <unsigned long N, unsigned long D> struct SmallestDivisor<N, D, true> {
    static constexpr unsigned long value = N;
};

template <typename Sequence> struct SumOfDivisors;

template <unsigned long... Ns> struct SumOfDivisors<std::integer_sequence<unsigned long, Ns...>> {
    static constexpr unsigned long value = (SmallestDivisor<Ns * 97 + 1009>::value + ... + 0);
};

/* ---- Lists of types ------------------------------------------------------------------------ */

template <typename... Types> struct List {
    static constexpr std::size_t size = sizeof...(Types);
};

template <typename A, typename B> struct Joined;
template <typename... As, typename... Bs> struct Joined<List<As...>, List<Bs...>> {
    using type = List<As..., Bs...>;
};

template <typename Types, template <typename> class Predicate> struct Filtered;
template <template <typename> class Predicate> struct Filtered<List<>, Predicate> {
    using type = List<>;
};
template <typename First, typename... Rest, template <typename> class Predicate>
struct Filtered<List<First, Rest...>, Predicate> {
    using rest = typename Filtered<List<Rest...>, Predicate>::type;
    using type =
        std::conditional_t<Predicate<First>::value, typename Joined<List<First>, rest>::type, rest>;
};

template <typename T> struct IsEven : std::bool_constant<T::value % 2 == 0> {
};
template <typename T>
struct IsPrime : std::bool_constant<SmallestDivisor<T::value>::value == T::value> {
};

template <typename Sequence> struct Numbers;
template <unsigned long... Ns> struct Numbers<std::integer_sequence<unsigned long, Ns...>> {
    using type = List<Number<Ns + 2>...>;
};

using FirstNumbers = Numbers<std::make_integer_sequence<unsigned long, 80>>::type;

/* ---- A shape for each number, over the containers ------------------------------------------ */

template <unsigned long N> struct Item {
    std::array<unsigned char, N % 24 + 1> bytes{};
    unsigned long key = N;

    bool operator<(const Item &other) const
    {
        return std::tie(key, bytes) < std::tie(other.key, other.bytes);
    }
};

template <unsigned long N> class Store {
  public:
    void add(const std::string &name, Item<N> item)
    {
        byKey_[item.key].push_back(item);
        byName_.emplace(name, std::make_unique<Item<N>>(item));
    }

    std::vector<Item<N>> sorted() const
    {
        std::vector<Item<N>> all;
        for (const auto &[key, items] : byKey_)
            all.insert(all.end(), items.begin(), items.end());
        std::sort(all.begin(), all.end());
        return all;
    }

    template <typename Function> unsigned long each(Function function) const
    {
        unsigned long sum = 0;
        for (const auto &[name, item] : byName_)
            sum += function(name, *item);
        return sum;
    }

  private:
    std::map<unsigned long, std::vector<Item<N>>> byKey_;
    std::map<std::string, std::unique_ptr<Item<N>>> byName_;
};

template <unsigned long N> unsigned long useStore()
{
    Store<N> store;
    for (unsigned long i = 0; i < N; i++)
        store.add(std::to_string(i), Item<N>{{}, i * N % 31});
    std::variant<std::monostate, Item<N>, std::string> last;
    for (const auto &item : store.sorted())
        last = item;
    auto count = [&](const std::string &name, const Item<N> &item) {
        return name.size() + item.key + last.index();
    };
    return store.each(count);
}

template <unsigned long... Ns> unsigned long useStores(std::integer_sequence<unsigned long, Ns...>)
{
    return (useStore<Ns>() + ... + 0);
}

} // namespace

unsigned long useAll()
{
    using Even = Filtered<FirstNumbers, IsEven>::type;
    using Prime = Filtered<FirstNumbers, IsPrime>::type;
    using Many = std::make_integer_sequence<unsigned long, 120>;
    return useStores(std::integer_sequence<unsigned long, 5, 9>()) + SumOfDivisors<Many>::value +
           Joined<Even, Prime>::type::size;
}
