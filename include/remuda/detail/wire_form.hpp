// Which types travel between processes, and why others do not.
#pragma once

#include <array>
#include <cereal/cereal.hpp>
#include <cereal/types/array.hpp>
#include <cereal/types/chrono.hpp>
#include <cereal/types/deque.hpp>
#include <cereal/types/list.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/set.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/tuple.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/unordered_set.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/variant.hpp>
#include <cereal/types/vector.hpp>
#include <concepts>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <source_location>
#include <span>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <typeindex>

namespace remuda::detail::asking {

// Archives with which to ask whether a class has cereal functions. They live in a namespace of their own, where the
// functions that this library adds to its real archives are not found, else the answer would always be yes.
class output : public cereal::OutputArchive<output> {};
class input : public cereal::InputArchive<input> {};

// What cereal wraps the parts of a class into.
template <class A, class T>
void serialize(A&, cereal::NameValuePair<T>&) {}
template <class A, class T>
void serialize(A&, cereal::SizeTag<T>&) {}
template <class A, class T>
void serialize(A&, cereal::BinaryData<T>&) {}

}  // namespace remuda::detail::asking

CEREAL_SETUP_ARCHIVE_TRAITS(remuda::detail::asking::input, remuda::detail::asking::output)

namespace remuda::detail {

template <class T>
inline constexpr bool cereal_writes = cereal::traits::is_output_serializable<T, asking::output>::value;
template <class T>
inline constexpr bool cereal_reads = cereal::traits::is_input_serializable<T, asking::input>::value;

/// The class has functions that cereal finds: serialize, save and load, or save_minimal and load_minimal.
template <class T>
concept has_cereal_functions = cereal_writes<T> && cereal_reads<T>;

/// What is to be said about a type: it travels, or why it does not.
enum class verdict {
  travels,
  raw_pointer,
  reference,
  member_pointer,
  view,
  initializer_list,
  shared_pointer,
  address_inside,
  no_default,
  no_form,
};

template <class T>
concept function_pointer = std::is_pointer_v<T> && std::is_function_v<std::remove_pointer_t<T>>;

template <class T>
inline constexpr bool is_class_or_union = std::is_class_v<T> || std::is_union_v<T>;

template <class T>
inline constexpr bool can_be_handed_on = std::copy_constructible<T> || std::move_constructible<T>;

/// A class whose bytes are its value. That one of the bytes is an address cannot be seen from outside.
template <class T>
concept plain_class = is_class_or_union<T> && std::is_trivially_copyable_v<T> && can_be_handed_on<T> &&
                      !cereal_writes<T> && !cereal_reads<T>;

template <class T>
consteval verdict judge();

/// The verdict on types that are elements of others, which read them into a default-constructed object.
template <class... T>
consteval verdict judge_elements() {
  verdict all = verdict::travels;
  ((all = all != verdict::travels          ? all
          : judge<T>() != verdict::travels ? judge<T>()
          : std::default_initializable<T>  ? verdict::travels
                                           : verdict::no_default),
   ...);
  return all;
}

/// The verdict on a class. Specialised for those that cereal would accept, or that look plain, whatever they contain.
template <class T>
struct form {
  static consteval verdict judge() {
    if constexpr (has_cereal_functions<T>) {
      return std::default_initializable<T> || std::is_trivially_copyable_v<T> ? verdict::travels : verdict::no_default;
    } else {
      return plain_class<T> ? verdict::travels : verdict::no_form;
    }
  }
};

template <verdict V>
struct fixed_form {
  static consteval verdict judge() { return V; }
};

template <class... T>
struct form_of_elements {
  static consteval verdict judge() { return judge_elements<T...>(); }
};

// Containers that build each element on its own also take elements without a default constructor if those are plain.
template <class T>
struct form_of_sequence {
  static consteval verdict judge() {
    if constexpr (plain_class<T>) {
      return detail::judge<T>();
    } else {
      return judge_elements<T>();
    }
  }
};

// clang-format off
template <class T, class A> struct form<std::vector<T, A>> : form_of_sequence<T> {};
template <class T, class A> struct form<std::deque<T, A>> : form_of_sequence<T> {};
template <class T, class A> struct form<std::list<T, A>> : form_of_sequence<T> {};
template <class T, std::size_t N> struct form<std::array<T, N>> : form_of_elements<T> {};
template <class C, class R, class A> struct form<std::basic_string<C, R, A>> : form_of_elements<C> {};
template <class T> struct form<std::optional<T>> : form_of_elements<T> {};
template <class... T> struct form<std::variant<T...>> : form_of_elements<T...> {};
template <class... T> struct form<std::tuple<T...>> : form_of_elements<T...> {};
template <class T, class U> struct form<std::pair<T, U>> : form_of_elements<T, U> {};
template <class K, class T, class C, class A> struct form<std::map<K, T, C, A>> : form_of_elements<K, T> {};
template <class K, class T, class C, class A> struct form<std::multimap<K, T, C, A>> : form_of_elements<K, T> {};
template <class K, class C, class A> struct form<std::set<K, C, A>> : form_of_elements<K> {};
template <class K, class C, class A> struct form<std::multiset<K, C, A>> : form_of_elements<K> {};
template <class K, class T, class H, class E, class A>
struct form<std::unordered_map<K, T, H, E, A>> : form_of_elements<K, T> {};
template <class K, class T, class H, class E, class A>
struct form<std::unordered_multimap<K, T, H, E, A>> : form_of_elements<K, T> {};
template <class K, class H, class E, class A> struct form<std::unordered_set<K, H, E, A>> : form_of_elements<K> {};
template <class K, class H, class E, class A> struct form<std::unordered_multiset<K, H, E, A>> : form_of_elements<K> {};
template <class R, class P> struct form<std::chrono::duration<R, P>> : form_of_elements<R> {};
template <class C, class D> struct form<std::chrono::time_point<C, D>> : form_of_elements<D> {};

template <> struct form<std::exception_ptr> : fixed_form<verdict::travels> {};
template <> struct form<std::error_code> : fixed_form<verdict::travels> {};
template <> struct form<std::filesystem::path> : fixed_form<verdict::travels> {};

template <class C, class R> struct form<std::basic_string_view<C, R>> : fixed_form<verdict::view> {};
template <class T, std::size_t N> struct form<std::span<T, N>> : fixed_form<verdict::view> {};
template <class T> struct form<std::reference_wrapper<T>> : fixed_form<verdict::reference> {};
template <class T> struct form<std::initializer_list<T>> : fixed_form<verdict::initializer_list> {};
template <class T> struct form<std::shared_ptr<T>> : fixed_form<verdict::shared_pointer> {};
template <class T> struct form<std::weak_ptr<T>> : fixed_form<verdict::shared_pointer> {};
template <> struct form<std::error_condition> : fixed_form<verdict::address_inside> {};
template <> struct form<std::type_index> : fixed_form<verdict::address_inside> {};
template <> struct form<std::source_location> : fixed_form<verdict::address_inside> {};
// clang-format on

template <class T, class D>
struct form<std::unique_ptr<T, D>> {
  static consteval verdict judge() {
    if constexpr (std::is_array_v<T>) {
      return verdict::no_form;
    } else if constexpr (std::is_polymorphic_v<T>) {
      return verdict::travels;  // cereal looks for the registered dynamic type
    } else if constexpr (cereal::traits::has_load_and_construct<T, asking::input>::value) {
      return detail::judge<T>() == verdict::no_default ? verdict::travels : detail::judge<T>();
    } else {
      return judge_elements<T>();
    }
  }
};

template <class T>
consteval verdict judge() {
  if constexpr (std::is_reference_v<T>) {
    return verdict::reference;
  } else if constexpr (std::is_const_v<T> || std::is_volatile_v<T>) {
    return judge<std::remove_cv_t<T>>();
  } else if constexpr (function_pointer<T> || std::is_arithmetic_v<T> || std::is_enum_v<T>) {
    return verdict::travels;
  } else if constexpr (std::is_pointer_v<T> || std::is_null_pointer_v<T>) {
    return verdict::raw_pointer;
  } else if constexpr (std::is_member_pointer_v<T>) {
    return verdict::member_pointer;
  } else if constexpr (is_class_or_union<T>) {
    return form<T>::judge();
  } else {
    return verdict::no_form;
  }
}

/// Its bytes are its value, also as an element of an array: one memcpy for all.
template <class T>
inline constexpr bool is_plain =
    (std::is_arithmetic_v<T> && !std::same_as<T, bool>) || std::is_enum_v<T> ||
    (plain_class<T> && judge<T>() == verdict::travels && !std::same_as<T, std::error_code>);
template <class T, std::size_t N>
inline constexpr bool is_plain<std::array<T, N>> = is_plain<T>;
template <class R, class P>
inline constexpr bool is_plain<std::chrono::duration<R, P>> = is_plain<R>;
template <class C, class D>
inline constexpr bool is_plain<std::chrono::time_point<C, D>> = is_plain<D>;

template <class T>
concept plain = is_plain<T>;

/// Nothing but its type is needed to have one: a captureless lambda, an empty function object.
template <class T>
concept stateless = plain_class<T> && plain<T> && std::is_empty_v<T>;

/// A function or a function object that a task may be.
template <class F>
concept callable_travels = std::is_object_v<F> && judge<F>() == verdict::travels;

/// Refuses, with a reason, what is no callable_travels.
template <class F>
consteval void require_callable() {
  constexpr verdict v = judge<F>();
  static_assert(v != verdict::member_pointer,
                "remuda: a pointer to a member cannot be sent to a process pool: write a lambda without captures that "
                "calls the member, and pass the object as an argument of submit");
  static_assert(v != verdict::no_form,
                "remuda: this function object captures something that cannot travel: pass it as an argument of submit");
  static_assert(v != verdict::no_default,
                "remuda: this function object has cereal functions but no default constructor to start from: add one");
  static_assert(
      v == verdict::travels || v == verdict::member_pointer || v == verdict::no_form || v == verdict::no_default,
      "remuda: a process pool cannot run this: pass a function, a lambda, or a function object");
}

/// Refuses, with a reason and what to do, a value that does not travel.
template <class T>
consteval void require_value() {
  constexpr verdict v = judge<T>();
  constexpr bool is_text = std::is_pointer_v<T> && std::same_as<std::remove_cv_t<std::remove_pointer_t<T>>, char>;
  static_assert(v != verdict::raw_pointer || !is_text,
                "remuda: a char* points into this process and means nothing in another: pass a std::string");
  static_assert(v != verdict::raw_pointer || is_text,
                "remuda: a raw pointer points into this process and means nothing in another: pass the value it points "
                "to, or a container of the values");
  static_assert(v != verdict::reference,
                "remuda: a reference (or std::reference_wrapper) refers to an object of this process, and a worker has "
                "only copies: pass and return values");
  static_assert(v != verdict::member_pointer,
                "remuda: a pointer to a member cannot be sent to a process pool: name the member in the task's code");
  static_assert(v != verdict::view,
                "remuda: a string_view or span refers to memory of this process: pass a std::string or a std::vector");
  static_assert(v != verdict::initializer_list,
                "remuda: an initializer_list refers to memory of this process: pass a std::vector");
  static_assert(
      v != verdict::shared_pointer,
      "remuda: a shared_ptr or weak_ptr shares nothing with another process: pass the value, or a unique_ptr");
  static_assert(v != verdict::address_inside,
                "remuda: this type of the standard library holds an address of this process: pass what you need of it, "
                "as text or as a number");
  static_assert(v != verdict::no_default,
                "remuda: a value of this type (or an element of it) is read into a default-constructed object, and it "
                "has no public default constructor: add one");
  static_assert(
      v != verdict::no_form,
      "remuda: this type (or an element of it) is neither trivially copyable nor has it cereal functions: add "
      "a member `template <class A> void serialize(A& archive) { archive(member, ...); }`, or save and load. "
      "If it is a lambda, it captures something that cannot travel: pass it as an argument of submit");
}

}  // namespace remuda::detail

namespace remuda {

/// Values of this type can be sent to another process. Never an error by itself, also where the answer is no.
template <class T>
concept travels = !std::is_const_v<T> && !std::is_volatile_v<T> && detail::judge<T>() == detail::verdict::travels;

}  // namespace remuda
