/**
 * What lies behind each code that a finding has, and what helps: for the reference, and for
 * `sallyport explain CODE`. Those of OPA's compiler begin with `rego_` and are OPA's own.
 */
import type { RefusalCode } from './errors.ts'

const CONFIG = {
  config_unreadable: 'There is no config at this path, or it cannot be read. `--config` names another.',
  config_syntax: 'The config is not JSON, even with comments and trailing commas allowed.',
  config_duplicate: 'A key stands twice in one object. One of the two would have been ignored.',
  config_unknown_key:
    'The schema has no such key here. The hint names the nearest one; keys that are misspelt would otherwise have no effect.',
  config_invalid: 'The value is not what the schema wants at this place.',
  config_variable:
    'A variable has no value in the environment and no default, or a file that stands for a value cannot be read.',
  admin_without_token:
    'The admin listener can be reached from elsewhere, and nothing would keep strangers out: `admin.token`, `admin.tokens` or `admin.tls.clientCaFile` is needed.',
  certificates_without_authority:
    'Client certificates are to identify callers, and nobody verifies them: `listen.tls.clientCaFile`, or proxies that do.',
  duplicate_issuer: 'One issuer is named twice, so it would depend on their order which rules hold for it.',
  duplicate_sink:
    'Two sinks of the audit log have one name, or write to one place and would break its chain.',
  duplicate_target: 'A target is known by its URL: twice in one pool, everything would be counted twice.',
  duplicate_webhook: 'One receiver is named twice and would be told everything twice.',
  half_a_certificate: '`certFile` and `keyFile` go together.',
  insecure_url:
    'Over plain http anybody on the way could read a credential, say who a caller is, or put another policy in force. It is for loopback only.',
  invalid_header: 'HTTP allows no header of this name, or with this value.',
  invalid_network: 'This is no address and no CIDR such as `10.0.0.0/8`.',
  invalid_url: 'This is no URL, or one with a part that has no meaning here.',
  keys_in_memory:
    'Keys in the memory of a gateway could be reached by no command: `store.engine` must be `sqlite` or `redis`.',
  signature_without_key:
    'Signatures are required, and there is no key to verify them with: `policy.signature.publicKeyFile`.',
  store_without_url: 'A store in Redis needs `store.url`, such as `redis://127.0.0.1:6379`.',
  timeout_too_long: 'No timer can hold so long; it would fire at once.',
  tls_without_https: '`tls` is for targets whose `url` begins with `https:`.',
  two_key_sources: 'An issuer has `jwksUri` or `keyFile`, not both.',
  webhook_without_secret:
    'Its receiver could not tell who told it: `secret` signs what is sent in the format `json`.',
  window_too_long: 'A window of more than 24 days would be no limit at all.',
} as const

const FILES = {
  readable_by_others: 'The file holds a secret, and every user of the machine can read it.',
  writable_by_others: 'Every user of the machine can change what the gateway does by changing this file.',
  short_admin_token: 'A token of fewer than 16 characters can be found by trying.',
  tls_unreadable: 'The certificate or the key cannot be read, or is not PEM.',
  tls_key_mismatch: 'The key is not that of the certificate.',
  tls_expired: 'Clients that verify the certificate refuse to connect.',
  tls_not_yet_valid: 'The certificate becomes valid later.',
  tls_expires_soon:
    'The certificate ends within 14 days. Files are read again when they change, without a restart.',
} as const

const SOURCE = {
  unreadable_source: 'The policy is not there, is empty, is too large, or cannot be read.',
  no_entrypoint: 'The policy has no rule at `policy.entrypoint`.',
  data_invalid: 'Data does not fit the `data.schema.json` beside it.',
  data_schema_invalid: 'A `data.schema.json` is no JSON Schema.',
  data_unknown_key: 'The `data.schema.json` beside the data has no such key.',
  too_slow:
    'A decision on a sample input took longer than `policy.activation.maxEvaluation`: it would hold up every request.',
  too_many_flips:
    'More recorded decisions come out otherwise than `policy.activation.replay.maxFlips` allows.',
  test_failed: 'A test or a scenario of the policy itself fails.',
  table_test_not_run: 'The `opa` at hand skips tests of this form. A newer one runs them.',
  fault: 'The policy could not be had for a reason that has no name of its own. The message tells it.',
} as const

const BUNDLES = {
  bundle_unavailable: 'The server of bundles does not answer, or not with a bundle. What is in force stays.',
  bad_bundle: 'This is no bundle, or it lacks a part such as `policy.wasm`.',
  bad_archive: 'This is no gzipped tar, or one with entries that a bundle does not have.',
  unsigned_bundle: '`policy.signature.required` is true, and the bundle has no signature.',
  bad_signature: 'No key in `policy.signature.publicKeyFile` has made this signature.',
  tampered_bundle: 'The files of the bundle are not those that were signed.',
  bad_key: 'A key to verify signatures with cannot be read.',
  older_bundle:
    'The bundle is older than the last one that was accepted, which somebody may have kept for this.',
  opa_unavailable: 'A policy in sources needs `opa` to be compiled, and there is none.',
} as const

const ENGINE = {
  unsupported_builtin: 'The policy calls a builtin that is not offered here; the message says where.',
  builtin_error:
    'A builtin failed while deciding. With `policy.builtinErrors: "undefined"` it has no value instead.',
  trap: 'The compiled policy ended in a fault of WebAssembly.',
  out_of_memory: 'The policy and its data need more than `policy.maxMemory`.',
  timed_out: 'A decision took too long and was ended.',
  bad_data: 'The data of the policy is no JSON that the engine takes.',
  bad_input: 'The input is no JSON that the engine takes.',
  bad_module: 'The compiled policy is no WebAssembly module of OPA’s.',
} as const

const ADVICE = {
  api_usage_warning: 'OPA has advice on the policy.',
  no_default: 'Where no rule of the decision holds it is undefined, and the caller is told `policy_error`.',
  pattern_from_input: 'A caller who can choose the pattern decides what it matches.',
  runaway_replace: 'Replacing nothing by something never ends inside of the engine.',
  silent_deny: 'A rule that denies says nothing where something that it looks at is missing.',
  unbounded_body: 'The rule walks through a body that is as large as the caller makes it.',
  unnamed_allow: 'Records and metrics tell decisions apart by `rule`, and this one has none.',
} as const

const SCENARIOS = {
  scenario_syntax: 'The file of scenarios is not YAML.',
  scenario_invalid: 'A value is not what the schema of scenarios wants at this place.',
  scenario_unknown_key: 'The schema of scenarios has no such key here; the hint names the nearest one.',
  scenario_unknown_name: 'A principal or a request is named that the file does not have.',
} as const

/** By what they are about. */
export const FINDINGS = {
  'The config': CONFIG,
  'Files that the config names': FILES,
  'The source of the policy': SOURCE,
  Bundles: BUNDLES,
  'The engine': ENGINE,
  'Advice on policies': ADVICE,
  Scenarios: SCENARIOS,
} as const

export const FINDING_MEANINGS = {
  ...CONFIG,
  ...FILES,
  ...SOURCE,
  ...BUNDLES,
  ...ENGINE,
  ...ADVICE,
  ...SCENARIOS,
} as const

export type FindingCode = keyof typeof FINDING_MEANINGS | `rego_${string}` | RefusalCode
