/**
 * Native builtins: those that `opa build` links into the module itself, and the names they have there.
 *
 * `errs`: in OPA, no value from it is a failure. The module cannot tell the two apart: it has no value
 * either way, and a deny rule would fall silent.
 */
import { BuiltinError } from './builtin.ts'

export interface Native {
  /** Its name in the module's name section. */
  readonly symbol: string
  readonly operands: number
  readonly errs: boolean
}

const TABLE = `
abs opa_arith_abs 1, ceil opa_arith_ceil 1, floor opa_arith_floor 1, round opa_arith_round 1,
plus opa_arith_plus 2, minus opa_arith_minus 2, mul opa_arith_multiply 2, div opa_arith_divide 2, rem opa_arith_rem 2,
bits.and opa_bits_and 2, bits.or opa_bits_or 2, bits.xor opa_bits_xor 2, bits.negate opa_bits_negate 1,
bits.lsh opa_bits_shiftleft 2, bits.rsh opa_bits_shiftright 2,
count opa_agg_count 1, sum opa_agg_sum 1, product opa_agg_product 1, sort opa_agg_sort 1,
max opa_agg_max 1, min opa_agg_min 1, all opa_agg_all 1, any opa_agg_any 1,
array.concat opa_array_concat 2, array.slice opa_array_slice 3, array.reverse opa_array_reverse 1,
and opa_set_intersection 2, or opa_set_union 2, intersection opa_sets_intersection 1, union opa_sets_union 1,
set_diff opa_set_diff 2,
base64.encode opa_base64_encode 1, base64.decode opa_base64_decode 1, base64.is_valid opa_base64_is_valid 1,
base64url.encode opa_base64_url_encode 1, base64url.decode opa_base64_url_decode 1,
concat opa_strings_concat 2, contains opa_strings_contains 2, startswith opa_strings_startswith 2,
endswith opa_strings_endswith 2, indexof opa_strings_indexof 2, format_int opa_strings_format_int 2,
lower opa_strings_lower 1, upper opa_strings_upper 1, replace opa_strings_replace 3,
strings.replace_n opa_strings_replace_n 2, strings.reverse opa_strings_reverse 1, split opa_strings_split 2,
substring opa_strings_substring 3, trim opa_strings_trim 2, trim_left opa_strings_trim_left 2,
trim_right opa_strings_trim_right 2, trim_prefix opa_strings_trim_prefix 2,
trim_suffix opa_strings_trim_suffix 2, trim_space opa_strings_trim_space 1,
glob.match opa_glob_match 3, regex.match opa_regex_match 2, re_match opa_regex_match 2,
regex.is_valid opa_regex_is_valid 1, regex.find_all_string_submatch_n opa_regex_find_all_string_submatch 3,
json.marshal opa_json_marshal 1, json.unmarshal opa_json_unmarshal 1, json.is_valid opa_json_is_valid 1,
json.filter builtin_json_filter 2, json.remove builtin_json_remove 2,
object.filter builtin_object_filter 2, object.get builtin_object_get 3, object.keys builtin_object_keys 1,
object.remove builtin_object_remove 2, object.union builtin_object_union 2, object.union_n builtin_object_union_n 1,
graph.reachable builtin_graph_reachable 2, numbers.range opa_numbers_range 2, to_number opa_to_number 1,
net.cidr_contains opa_cidr_contains 2, net.cidr_overlap opa_cidr_contains 2, net.cidr_intersects opa_cidr_intersects 2,
is_array opa_types_is_array 1, is_boolean opa_types_is_boolean 1, is_null opa_types_is_null 1,
is_number opa_types_is_number 1, is_object opa_types_is_object 1, is_set opa_types_is_set 1,
is_string opa_types_is_string 1, type_name opa_types_name 1,
eq opa_cmp_eq 2, equal opa_cmp_eq 2, neq opa_cmp_neq 2, gt opa_cmp_gt 2, gte opa_cmp_gte 2, lt opa_cmp_lt 2,
lte opa_cmp_lte 2, walk opa_value_transitive_closure 1
`

/** Have no value without having failed: the largest of nothing, a walk, the type of what is undefined. */
const SILENT = /^(max|min|walk|is_.*|type_name|eq|equal|neq|gte?|lte?)$/

export const NATIVES: ReadonlyMap<string, Native> = new Map(
  TABLE.split(',').map(row => {
    const [name, symbol, operands] = row.trim().split(' ') as [string, string, string]
    return [name, { symbol, operands: Number(operands), errs: !SILENT.test(name) }]
  }),
)

/** What the host answers when a native builtin has no value: it failed. */
export function failed(): never {
  throw new BuiltinError('not defined for these operands')
}
